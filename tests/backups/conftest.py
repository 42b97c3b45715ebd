"""An installation for each test, an empty database to restore it into, and a server for S3."""

from backups.living import populated, target, world
from backups.s3_server import store

__all__ = ["populated", "store", "target", "world"]
