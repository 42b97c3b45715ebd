"""People give and take back grants."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.grants import model
from keybearer.grants.model import Grant, Wish
from keybearer.grants.service import Grants
from keybearer.http.principal import current_principal
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.principal import Principal
from keybearer.providers.model import Provider
from keybearer.vault.model import Connection

Caller = Annotated[Principal, Depends(current_principal)]

_EXAMPLE: JsonDict = {
    "agent": "DJ",
    "providers": ["spotify"],
    "ttl_seconds": 3600,
    "reason": "Plays music in the living room",
}
_MADE: JsonDict = {
    "id": "0198a7c2-3f61-7c55-b1f0-8f0d3a9e2b11",
    "agent": "DJ",
    "connections": [
        {
            "id": "0198a7c1-9e0b-7a43-8d17-64c1f0b0a7d3",
            "provider": "spotify",
            "title": "Spotify",
            "icon": "spotify",
            "account": "alice",
            "state": "active",
        }
    ],
    "expires_at": "2026-11-22T19:03:11Z",
}
_LIVE: JsonDict = {
    **_MADE,
    "scopes": None,
    "reason": "Plays music in the living room",
    "created_at": "2026-11-22T18:03:11Z",
    "last_used_at": None,
}


class GrantWish(Wire):
    """What an agent may use. `providers` is enough where you have one account at each; else name `connections`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    agent: str = Field(min_length=1, max_length=model.LONGEST_AGENT, description="What people call the agent.")
    connections: list[UUID] = Field(default=[], max_length=model.MOST_CONNECTIONS)
    providers: list[str] = Field(default=[], max_length=model.MOST_CONNECTIONS)
    scopes: list[str] | None = Field(
        default=None, max_length=200, description="Narrows what the connections allow; null does not."
    )
    ttl_seconds: int = Field(default=model.DEFAULT_SECONDS, ge=model.LEAST_SECONDS, le=model.MOST_SECONDS, strict=True)
    reason: str | None = Field(default=None, min_length=1, max_length=model.LONGEST_REASON)


class GrantedConnection(Wire):
    """One account that the grant reaches."""

    id: UUID
    provider: str
    title: str
    icon: str | None
    account: str
    state: str


class GrantWire(Wire):
    """A live grant; its secret was shown when it was made and is not kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LIVE]})

    id: UUID
    agent: str
    connections: list[GrantedConnection]
    scopes: list[str] | None
    reason: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class NewGrant(Wire):
    """`grant` is the secret for the agent. It is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_MADE, "grant": "kbg_…"}]})

    id: UUID
    grant: str
    agent: str
    expires_at: datetime
    connections: list[GrantedConnection]


class Known(Protocol):
    """What is needed of `providers.service.Providers`: titles and icons."""

    def all(self) -> Sequence[Provider]: ...


def routes(grants: Grants, known: Known) -> APIRouter:
    router = APIRouter(tags=["grants"])
    providers = {provider.name: provider for provider in known.all()}

    @router.post(
        "/grants", status_code=201, responses=problems(401, 404, 409, 422), summary="Let an agent use connections"
    )
    async def create_grant(wish: GrantWish, principal: Caller) -> NewGrant:
        grant, chosen, token = await grants.create(principal, Wish(**wish.model_dump()))
        return NewGrant(
            id=grant.id,
            grant=token,
            agent=grant.agent,
            expires_at=grant.expires_at,
            connections=[_connection(one, providers) for one in chosen],
        )

    @router.get("/grants", responses=problems(401, 422), summary="Your live grants")
    async def list_grants(
        principal: Caller,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Page[GrantWire]:
        found = await grants.list_live(principal, after=after, limit=limit + 1)
        shown = found[:limit]
        return Page(
            items=[_grant(grant, held, providers) for grant, held in shown],
            next=str(shown[-1][0].id) if len(found) > limit else None,
        )

    @router.delete("/grants/{grant_id}", status_code=204, responses=problems(401, 404, 422), summary="Revoke a grant")
    async def revoke_grant(grant_id: UUID, principal: Caller) -> None:
        await grants.revoke(principal, grant_id)

    return router


def _grant(grant: Grant, held: tuple[Connection, ...], providers: Mapping[str, Provider]) -> GrantWire:
    return GrantWire(
        id=grant.id,
        agent=grant.agent,
        connections=[_connection(one, providers) for one in held],
        scopes=list(grant.scopes) if grant.scopes is not None else None,
        reason=grant.reason,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        last_used_at=grant.last_used_at,
    )


def _connection(connection: Connection, providers: Mapping[str, Provider]) -> GrantedConnection:
    provider = providers.get(connection.provider)
    return GrantedConnection(
        id=connection.id,
        provider=connection.provider,
        title=provider.title if provider else connection.provider,
        icon=provider.icon if provider else None,
        account=connection.account_name,
        state=connection.state_at(datetime.now(UTC)),
    )
