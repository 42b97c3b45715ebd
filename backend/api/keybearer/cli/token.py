"""`keybearer token inspect`: what a token is, whether it is whole, and what it opens at this moment."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from keybearer.cli import failures
from keybearer.kit import tokens
from keybearer.kit.settings import PREFIX

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services
    from keybearer.sessions.model import Claims, Resolved

Facts = dict[str, str]

_KINDS = {
    tokens.SESSION: "session token",
    tokens.GRANT: "grant of an agent",
    tokens.API_KEY: "API key",
    tokens.REFRESH: "refresh token",
    tokens.INVITATION: "invitation",
    tokens.LETTER: "link of a mail",
}
_DEAD = "nothing: it is unknown, expired, revoked or idle for too long, or its person is disabled"

app = typer.Typer(help="Look at tokens.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """A group, though it has one command."""


@app.command()
def inspect() -> None:
    """Explain a token. It is asked for, or read from standard input; it is never an argument.

    With the settings of an installation in the environment, also what it opens there. Nothing is used up.
    """
    token = _token()
    facts = _offline(token)
    if os.environ.get(f"{PREFIX}DATABASE_URL"):
        with failures.explained():
            facts |= asyncio.run(_online(token))
    else:
        facts["opens"] = f"not looked up: {PREFIX}DATABASE_URL is not set"
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}} {_printable(value)}")


def _token() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Token", hide_input=True)).strip()
    return sys.stdin.readline().strip()


def _offline(token: str) -> Facts:
    """Nothing here shows the token, or a part of it that could be used."""
    if token.count(".") == 2:
        return dict(_jwt(token))
    prefix = token[:4]
    if prefix not in _KINDS:
        return {"kind": "no token of Keybearer's"}
    whole = tokens.is_well_formed(token, prefix)
    facts = {"kind": _KINDS[prefix], "checksum": "right" if whole else "wrong: it is cut off or mistyped"}
    return {**facts, "sha256": tokens.digest(token).hex()} if whole else facts


def _jwt(token: str) -> Iterator[tuple[str, str]]:
    head, claims = (_part(part) for part in token.split(".")[:2])
    if head is None or claims is None:
        yield "kind", "no token of Keybearer's: it looks like a JWT, and cannot be read"
        return
    yield "kind", "access token" if head.get("typ") == "at+jwt" else "a JWT of somebody else's"
    yield "sha256", tokens.digest(token).hex()
    yield "signed", f"{head.get('alg')} with the key {head.get('kid', '(not named)')}; not checked"
    for name, value in claims.items():
        yield name, _moment(value) if name in {"exp", "iat", "nbf"} else json.dumps(value, ensure_ascii=False)


def _part(encoded: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _moment(value: object) -> str:
    try:
        at = datetime.fromtimestamp(float(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return json.dumps(value)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" + (" (past)" if at < datetime.now(UTC) else "")


async def _online(token: str) -> Facts:
    from keybearer.bootstrap.services import open_services
    from keybearer.kit import settings

    async with open_services(settings.read(), background=False) as services:
        if token.count(".") == 2:
            return await _access(services, token)
        if tokens.is_well_formed(token, tokens.REFRESH):
            return await _refresh(services, token)
        if tokens.is_well_formed(token, tokens.INVITATION):
            return await _invitation(services, token)
        if tokens.is_well_formed(token, tokens.LETTER):
            return {"opens": "what its mail says, once, for as long as the mail says"}
        return _opens(await services.resolver.resolve(token))


async def _access(services: Services, token: str) -> Facts:
    if services.access_tokens.verified(token) is None:
        return {"signature": f"not ours, or not {services.access_tokens.algorithm}", "opens": _DEAD}
    facts = {"signature": "right"}
    for tenant in services.tenancy.directory.each:
        claims = services.access_tokens.read(tenant, token)
        if claims is not None:
            return facts | await _of_session(services, token, claims)
    return facts | {"opens": "nothing: it is over, or was made under another PUBLIC_URL"}


async def _of_session(services: Services, token: str, claims: Claims) -> Facts:
    return _opens(await services.resolver.resolve_access(token, lambda: claims))


async def _refresh(services: Services, token: str) -> Facts:
    for tenant in services.tenancy.directory.each:
        found = await services.program_tokens.look_up(tenant, token)
        if found is None:
            continue
        family, presented = found
        state = "used" if presented.used_at else "expired" if presented.expired else "live"
        return {
            "opens": f"a new pair, as long as it is live; it is {state}",
            "tenant": tenant.name,
            "person": str(family.user_id),
            "session": str(family.session_id),
            "until": f"{presented.expires_at:%Y-%m-%d %H:%M:%S} UTC",
            "signed in until": f"{family.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        }
    return {"opens": _DEAD}


async def _invitation(services: Services, token: str) -> Facts:
    for tenant in services.tenancy.directory.each:
        async with services.db.transaction(tenant.id) as tx:
            found = await services.invitations.find(tx, tenant.id, token)
        if found is not None:
            return {
                "opens": f"an account for {found.email} with the role {found.role}",
                "tenant": tenant.name,
                "until": _moment(found.expires_at.timestamp()),
            }
    return {"opens": "nothing: it is unknown, used or replaced"}


def _opens(resolved: Resolved | None) -> Facts:
    if resolved is None:
        return {"opens": _DEAD}
    what = {"session": "a session", "access": "a session", "api_key": "what an API key may", "grant": "the proxy"}
    facts = {
        "opens": what[resolved.kind],
        "id": str(resolved.subject_id),
        "tenant": resolved.tenant_name,
        "person": f"{resolved.name} ({resolved.email or 'no address'}), {resolved.role}, {resolved.user_id}",
        "until": f"{resolved.usable_until:%Y-%m-%d %H:%M:%S} UTC, unless it is used or revoked before",
    }
    if resolved.agent is not None:
        facts["agent"] = resolved.agent
        facts["for"] = ", ".join(provider for _, provider in resolved.connections) or "no connection any more"
    if resolved.scopes is not None:
        facts["scopes"] = " ".join(resolved.scopes) or "none"
    return facts


def _printable(value: str) -> str:
    """Claims of a token are strangers' words: an escape sequence in one must not reach the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in value)
