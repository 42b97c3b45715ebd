"""Schema changes, expand and contract, run by the migrating login alone."""
