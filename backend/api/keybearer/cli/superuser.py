"""The database server's superuser, whom a bundled PostgreSQL lets in with a password that is in no URL."""

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from keybearer.kit import settings
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError
from keybearer.migrations import cluster


def address(environment: Mapping[str, str] = os.environ) -> DatabaseAddress:
    """On the server of KEYBEARER_MIGRATION_DATABASE_URL, with POSTGRES_PASSWORD."""
    password = environment.get("POSTGRES_PASSWORD")
    if not password:
        raise ConfigurationError("POSTGRES_PASSWORD is not set. It is the password of the superuser `postgres`.")
    parts = urlsplit(settings.migration_database_url(environment))
    netloc = f"{cluster.SUPERUSER}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
    url = urlunsplit(parts._replace(netloc=netloc, path="/postgres"))
    return DatabaseAddress(url, setting="MIGRATION_DATABASE_URL")
