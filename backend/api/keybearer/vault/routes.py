"""People see, add, refresh and end their connections. Tokens never leave through here."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.principal import current_principal
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.principal import Principal
from keybearer.vault.model import Connection
from keybearer.vault.service import AgentsOf, EndGrants, RequireProof, Vault
from keybearer.vault.upstream import Upstream

Caller = Annotated[Principal, Depends(current_principal)]

_EXAMPLE: JsonDict = {
    "id": "0198c0de-1f2e-7000-8000-5a5a5a5a5a5a",
    "provider": "spotify",
    "title": "Spotify",
    "icon": "spotify",
    "account": "Alice",
    "state": "active",
    "state_reason": None,
    "scopes": ["user-modify-playback-state"],
    "access_expires_at": "2026-11-23T13:00:00Z",
    "grant_expires_at": "2027-05-23T12:00:00Z",
    "last_used_at": None,
    "created_at": "2026-11-23T12:00:00Z",
    "agents": ["DJ"],
}


class ConnectionWire(Wire):
    """One account of yours at a provider."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    provider: str
    title: str
    icon: str | None
    account: str
    state: str = Field(description="active, expiring, needs_reconnect or revoked")
    state_reason: str | None
    scopes: list[str]
    access_expires_at: datetime | None
    grant_expires_at: datetime | None = Field(
        description="When the consent itself ends, however often tokens are refreshed."
    )
    last_used_at: datetime | None
    created_at: datetime
    agents: list[str] = Field(description="Agents whose live grants reach this connection.")


class Typed(Wire):
    """A secret that you type; the names of the fields come with GET /api/auth/providers."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"fields": {"api_key": "sk-…"}}]})

    fields: dict[str, str] = Field(max_length=16)


class Disconnected(Wire):
    """`revoked_upstream`: whether the provider confirmed it. The tokens are destroyed here in any case."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"revoked_upstream": True, "grants_ended": 1}]})

    revoked_upstream: bool
    grants_ended: int


class AccessTokenWire(Wire):
    """What the provider takes, until it expires. Keep it out of logs and files."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "access_token": "ya29.…",
                    "token_type": "Bearer",
                    "scopes": ["user-modify-playback-state"],
                    "expires_at": "2026-11-23T13:00:00Z",
                }
            ]
        },
    )

    access_token: str
    token_type: str
    scopes: list[str]
    expires_at: datetime | None


def routes(
    vault: Vault, known: Upstream, agents_of: AgentsOf, end_grants: EndGrants, require_proof: RequireProof
) -> APIRouter:
    router = APIRouter(tags=["connections"])

    async def wire(principal: Principal, connection: Connection) -> ConnectionWire:
        _found, agents = await vault.list_with_agents(principal, agents_of)
        return _connection(connection, known, agents.get(connection.id, ()))

    @router.get("/connections", responses=problems(401, 422), summary="Your connections")
    async def list_connections(
        principal: Caller, after: UUID | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 100
    ) -> Page[ConnectionWire]:
        found, agents = await vault.list_with_agents(principal, agents_of)
        shown, following = _page(found, after, limit)
        items = [_connection(one, known, agents.get(one.id, ())) for one in shown]
        return Page(items=items, next=following)

    @router.post(
        "/connections/{provider}",
        status_code=201,
        responses=problems(401, 404, 422, 503),
        summary="Connect by typing a secret",
    )
    async def connect_with_secret(provider: str, typed: Typed, principal: Caller) -> ConnectionWire:
        connection = await vault.store_fields(principal, known.get_provider(provider), typed.fields)
        return await wire(principal, connection)

    @router.post(
        "/connections/{connection_id}/refresh",
        responses=problems(401, 404, 409, 422, 503),
        summary="Fetch a new access token now",
    )
    async def refresh_connection(connection_id: UUID, principal: Caller) -> ConnectionWire:
        return await wire(principal, await vault.refresh_asked(principal, connection_id))

    @router.post(
        "/connections/{connection_id}/token",
        responses=problems(401, 403, 404, 409, 422, 503),
        summary="Take the access token out",
    )
    async def reveal_token(connection_id: UUID, principal: Caller) -> AccessTokenWire:
        """Where the provider's policy `raw_token` allows it, and with a factor of the last 15 minutes."""
        token = await vault.reveal(principal, connection_id, require_proof)
        return AccessTokenWire(
            access_token=token.value,
            token_type="Bearer",  # noqa: S106 -- a kind of token
            scopes=list(token.scopes),
            expires_at=token.expires_at,
        )

    @router.delete(
        "/connections/{connection_id}",
        responses=problems(401, 404, 422),
        summary="Revoke at the provider and destroy the tokens",
    )
    async def end_connection(connection_id: UUID, principal: Caller) -> Disconnected:
        revoked, ended = await vault.disconnect(principal, connection_id, end_grants)
        return Disconnected(revoked_upstream=revoked, grants_ended=ended)

    return router


def _page(found: list[Connection], after: UUID | None, limit: int) -> tuple[list[Connection], str | None]:
    """A person has few connections, so pages are cut here; an unknown cursor begins again."""
    ids = [one.id for one in found]
    begin = ids.index(after) + 1 if after in ids else 0
    shown = found[begin : begin + limit]
    return shown, str(shown[-1].id) if begin + limit < len(found) else None


def _connection(connection: Connection, known: Upstream, agents: Sequence[str]) -> ConnectionWire:
    provider = known.find_provider(connection.provider)
    return ConnectionWire(
        id=connection.id,
        provider=connection.provider,
        title=provider.title if provider else connection.provider,
        icon=provider.icon if provider else None,
        account=connection.account_name,
        state=connection.state_at(datetime.now(UTC)),
        state_reason=connection.state_reason,
        scopes=list(connection.scopes),
        access_expires_at=connection.access_expires_at,
        grant_expires_at=connection.grant_expires_at,
        last_used_at=connection.last_used_at,
        created_at=connection.created_at,
        agents=list(agents),
    )
