"""`keybearer verify`: is this installation what it should be? Each check says what is wrong and what to do."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import MISSING, fields
from functools import partial
from urllib.parse import parse_qsl

from rich.console import Console
from rich.markup import escape

from keybearer.backups.settled import check_settled
from keybearer.bootstrap import guard
from keybearer.bootstrap.services import Services, build
from keybearer.cli import outside
from keybearer.cli.outside import Finding
from keybearer.kit import settings
from keybearer.kit.errors import ConfigurationError, KeybearerError
from keybearer.kit.settings import PREFIX, Settings

_SECRET_NAMES = ("URL", "PASSWORD", "SECRET", "TOKEN", "KEY")
_TELLING_PARAMETERS = frozenset({"host", "port", "sslmode", "sslrootcert"})
_WITHOUT_LOGIN = re.compile(r"[\w.-]*(:\d+)?(/[\w-]*)?")
# Names of settings; their values are no secrets.
_NOT_SECRET = frozenset(
    {
        "PUBLIC_URL", "KEYRING_DIR", "SIGNING_KEYRING_DIR", "LIVEKIT_URL",
        "PASSWORD_MINIMUM", "PASSWORD_MINIMUM_WITH_FACTOR", "PASSWORD_CLASSES", "PASSWORD_HISTORY", "PASSWORD_DAYS",
        "ACCESS_TOKEN_MINUTES", "ACCESS_TOKEN_ALGORITHM", "ACCESS_TOKEN_KEY_FILE",
        "REFRESH_TOKEN_IDLE_DAYS", "REFRESH_TOKEN_DAYS",
    }
)  # fmt: skip


def verify(url: str | None, *, through: str | None = None) -> None:
    """Raises SystemExit(1) when anything is wrong."""
    console = Console(highlight=False, soft_wrap=True)
    _list_settings(console, os.environ)
    findings = asyncio.run(_inside())
    if url is not None:
        findings += asyncio.run(outside.check(url.rstrip("/"), through))
    for finding in findings:
        mark = "[green]ok[/]   " if finding.problem is None else "[red]wrong[/]"
        console.print(f"{mark} {finding.what}" + (f": {escape(finding.problem)}" if finding.problem else ""))
    wrong = sum(finding.problem is not None for finding in findings)
    console.print(f"{len(findings)} checks, {wrong} wrong")
    if wrong:
        raise SystemExit(1)


def _list_settings(console: Console, environment: Mapping[str, str]) -> None:
    known = {PREFIX + field.name.upper(): field.default for field in fields(Settings)}
    for name, default in known.items():
        value = environment.get(name, "").strip()
        if value:
            console.print(f"[dim]environment[/] {name}={escape(_masked(name.removeprefix(PREFIX), value))}")
        else:
            console.print(f"[dim]default[/]     {name}={escape(_shown(default))}")
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
        console.print(f"[dim]not read[/]    {name} is no setting of the server")


def _shown(default: object) -> str:
    if default is MISSING or default is None or default == "":
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return " ".join(sorted(default)) if isinstance(default, tuple | frozenset) else str(default)


def _masked(name: str, value: str) -> str:
    """A URL keeps what says where it leads."""
    if name in _NOT_SECRET or not any(word in name for word in _SECRET_NAMES):
        return value
    address, _, query = value.partition("?")
    scheme, separator, rest = address.partition("://")
    if not separator or not ("@" in rest or _WITHOUT_LOGIN.fullmatch(rest)):
        return "***"
    login = "***@" if "@" in rest else ""
    places = [f"{name}={told}" for name, told in parse_qsl(query) if name in _TELLING_PARAMETERS]
    return f"{scheme}://{login}{rest.rpartition('@')[2]}" + ("?" + "&".join(places) if places else "")


async def _inside() -> list[Finding]:
    findings: list[Finding] = []
    services: Services | None = None

    async def attempt(what: str, check: Callable[[], Awaitable[None]]) -> bool:
        try:
            await check()
        except (ConfigurationError, KeybearerError) as error:
            findings.append(Finding(what, error.detail if isinstance(error, KeybearerError) else str(error)))
            return False
        findings.append(Finding(what))
        return True

    async def configuration() -> None:
        nonlocal services
        services = build(settings.read())

    async def database() -> None:
        assert services is not None, "asked once they are built"
        schema = await guard.check_database(services.db)
        if schema.newer:
            findings.append(Finding(f"database: schema {schema.revision} is newer than this version, and is served"))

    async def keyring() -> None:
        """Starting the keys would register a first one, and looking must change nothing."""
        assert services is not None, "asked once they are built"
        if missing := await services.keys.missing(services.db):
            raise ConfigurationError(
                f"KEYBEARER_KEYRING_DIR lacks the key {', '.join(sorted(missing))}, under which stored credentials are "
                "encrypted. Restore it from the keyring backup."
            )

    if not await attempt("configuration, keyring files and provider files", configuration) or services is None:
        return findings
    try:
        if await attempt("database: login, isolation and schema", database):
            await attempt("keyring: every key in use is there", keyring)
            await attempt("restore: finished, where there was one", partial(check_settled, services.db))
        findings += [finding async for finding in _providers(services)]
    finally:
        await services.outbound.aclose()
        await services.db.close()
    return findings


async def _providers(services: Services) -> AsyncIterator[Finding]:
    """Whether each configured provider can be reached."""
    for provider in services.catalogue.values():
        if not provider.configured or provider.auth != "oauth2" or provider.generic:
            continue
        yield Finding(f"provider {provider.name}", await services.providers.reachable(provider))
