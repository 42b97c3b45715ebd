"""Prepares an empty PostgreSQL server: roles, login passwords and the database, for every kind of installation."""

import base64
import hashlib
import hmac
import os
import unicodedata
from typing import Any

import asyncpg

from keybearer.kit.connecting import DatabaseAddress
from keybearer.migrations.runner import roles_script

APP_LOGIN = "keybearer_app_a"
APP_LOGINS = (APP_LOGIN, "keybearer_app_b")
MIGRATION_LOGIN = "keybearer_migrator"
SUPERUSER = "postgres"
_EXPORTER_LOGIN = "keybearer_exporter"
_MAKE_EXPORTER = f"""
    DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{_EXPORTER_LOGIN}') THEN
        CREATE ROLE {_EXPORTER_LOGIN} LOGIN NOSUPERUSER NOBYPASSRLS CONNECTION LIMIT 5;
      END IF;
      ALTER ROLE {_EXPORTER_LOGIN} PASSWORD NULL;
    END $$;
    GRANT pg_monitor TO {_EXPORTER_LOGIN}
"""
_ROUNDS = 4096  # PostgreSQL's own


async def prepare(
    superuser_url: str,
    *,
    database: str,
    app_password: str,
    migration_password: str,
    app_login: str = APP_LOGIN,
    exporter: bool = False,
) -> None:
    """Repeats safely; the passwords are set each time.

    The `exporter`'s login sees statistics and no rows. It has no password, so it comes in through the socket alone.
    """
    connection = await DatabaseAddress(superuser_url).connect()
    try:
        await connection.execute(roles_script())
        await set_password(connection, app_login, app_password)
        await set_password(connection, MIGRATION_LOGIN, migration_password)
        if exporter:
            await connection.execute(_MAKE_EXPORTER)
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}" OWNER keybearer_owner')
    finally:
        await connection.close()


async def set_password(connection: "asyncpg.Connection[Any]", login: str, password: str) -> None:
    """As a verifier, because the server's log and pg_stat_statements may keep the statement."""
    statement = await connection.fetchval(
        "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", login, _verifier(password)
    )
    await connection.execute(statement)


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password: SCRAM-SHA-256, RFC 5803."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, _ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ROUNDS}:{salt64}${stored64}:{server64}"
