"""One server for all tests of a module; each test has its own browser and a sandbox without earlier faults."""

from signin.living import browser, other, running_site, site, sql

__all__ = ["browser", "other", "running_site", "site", "sql"]
