"""An installation to try the pages' commands on."""

from backups.living import populated, target, world

__all__ = ["populated", "target", "world"]
