"""The one admin of an installation for one person, made from the settings at each start."""

from pathlib import Path

import structlog

from keybearer.bootstrap.people import People
from keybearer.kit.errors import ConfigurationError, Conflict, KeybearerError
from keybearer.kit.settings import Settings
from keybearer.tenancy.model import Tenant

log = structlog.get_logger(__name__)


async def configure(settings: Settings, people: People, tenant: Tenant) -> None:
    """Raises ConfigurationError where the settings name nobody who could sign in."""
    if settings.admin_email is None:
        return
    encoded = settings.admin_password_hash
    if encoded is not None and not people.operating.is_our_hash(encoded):
        raise ConfigurationError(
            "KEYBEARER_ADMIN_PASSWORD_HASH is no Argon2id hash as `keybearer admin hash` prints one. Is it cut off, or "
            "did a shell take the $ out of it?"
        )
    password = _read(settings.admin_password_file) if settings.admin_password_file else None
    try:
        done = await people.operating.configure_admin(tenant, settings.admin_email, password, encoded)
    except Conflict as error:
        # Another process that starts at this moment was first; what it made is what we would have made.
        if error.code != "address_taken":
            raise _refused(error) from error
        return
    except KeybearerError as error:
        raise _refused(error) from error
    if done:
        log.info("admin.configured")


def _refused(error: KeybearerError) -> ConfigurationError:
    reasons = error.extra.get("reasons")
    why = f" ({', '.join(map(str, reasons))})" if isinstance(reasons, list) else ""
    return ConfigurationError(f"KEYBEARER_ADMIN_EMAIL and its password: {error.detail}{why}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"KEYBEARER_ADMIN_PASSWORD_FILE names {path}, which cannot be read ({type(error).__name__})."
        ) from error
