"""An installation for each test, and an empty database to restore it into."""

from backups.living import populated, target, world

__all__ = ["populated", "target", "world"]
