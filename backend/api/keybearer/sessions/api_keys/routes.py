"""People make API keys for their programs, and revoke them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.principal import current_principal, present_person
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.principal import Principal
from keybearer.sessions.api_keys import model
from keybearer.sessions.api_keys.service import ApiKeys

_WISH: JsonDict = {"name": "Nightly report", "scopes": ["connections:read"], "expires_at": "2027-02-20T18:00:00Z"}
_EXAMPLE: JsonDict = {
    "id": "0198a7c3-7a10-7b21-9d30-5c1e2f3a4b5c",
    **_WISH,
    "created_at": "2026-11-22T18:00:00Z",
    "last_used_at": None,
}
Scope = Literal[*model.SCOPES]  # type: ignore[valid-type]  # one list for the rule and for the document


class ApiKeyWish(Wire):
    """Without `scopes` the key may do all that a key can; without `expires_at` it lives for 90 days."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WISH]})

    name: str = Field(min_length=1, max_length=100, description="What the key is for, in your words.")
    scopes: list[Scope] | None = Field(default=None, max_length=len(model.SCOPES))
    expires_at: AwareDatetime | None = Field(default=None, description="At most 366 days from now.")


class ApiKeyWire(Wire):
    """A live API key; its secret was shown when it was made and is not kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class NewApiKey(ApiKeyWire):
    """`key` is the secret. It is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "key": "kbk_…"}]})

    key: str


def routes(api_keys: ApiKeys) -> APIRouter:
    router = APIRouter(tags=["api-keys"])

    @router.post(
        "/api-keys", status_code=201, responses=problems(401, 403, 409, 422), summary="Make a key for a program"
    )
    async def create_api_key(wish: ApiKeyWish, principal: Annotated[Principal, Depends(present_person)]) -> NewApiKey:
        """Send it as `Authorization: Bearer kbk_…`. A key cannot make keys."""
        made, secret = await api_keys.create(principal, wish.name, wish.scopes, wish.expires_at)
        return NewApiKey(**ApiKeyWire.model_validate(made).model_dump(), key=secret)

    @router.get("/api-keys", responses=problems(401, 403, 422), summary="Your API keys")
    async def list_api_keys(
        principal: Annotated[Principal, Depends(current_principal)],
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Page[ApiKeyWire]:
        found = await api_keys.list_own(principal, after=after, limit=limit + 1)
        items = [ApiKeyWire.model_validate(each) for each in found[:limit]]
        return Page(items=items, next=str(items[-1].id) if len(found) > limit else None)

    @router.delete(
        "/api-keys/{key_id}", status_code=204, responses=problems(401, 403, 404, 422), summary="Revoke an API key"
    )
    async def revoke_api_key(key_id: UUID, principal: Annotated[Principal, Depends(current_principal)]) -> None:
        await api_keys.revoke(principal, key_id)

    return router
