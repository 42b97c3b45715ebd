"""`GET /auth/providers`: whom a person may sign in with, and what a signed-in person may connect."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import ConfigDict
from pydantic.config import JsonDict

from keybearer.http.principal import find_principal
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.principal import Principal
from keybearer.providers.model import Provider
from keybearer.providers.service import Providers

_EXAMPLE: JsonDict = {
    "name": "spotify",
    "title": "Spotify",
    "icon": "spotify",
    "auth": "oauth2",
    "sign_in": True,
    "connect": True,
    "unverified": False,
    "docs_url": "https://developer.spotify.com/documentation/web-api/concepts/authorization",
    "scopes": [{"name": "user-read-email", "title": "See your email address"}],
    "default_scopes": ["user-read-email"],
    "fields": [],
    "configured": True,
}


class ScopeWire(Wire):
    """What can be asked for, and in words for people."""

    model_config = ConfigDict(title="ProviderScope")

    name: str
    title: str


class FieldWire(Wire):
    """One input of the form where a secret is typed."""

    model_config = ConfigDict(title="ProviderField")

    name: str
    label: str
    secret: bool
    placeholder: str | None


class ProviderWire(Wire):
    """`configured` false: this installation has no client for it yet, so it can only be shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    title: str
    icon: str | None
    auth: Literal["oauth2", "api_key", "basic", "client_credentials"]
    sign_in: bool
    connect: bool
    unverified: bool
    docs_url: str | None
    scopes: list[ScopeWire]
    default_scopes: list[str]
    fields: list[FieldWire]
    configured: bool


def routes(providers: Providers) -> APIRouter:
    router = APIRouter(tags=["providers"])

    @router.get("/auth/providers", summary="Providers to sign in with or connect", responses=problems(503))
    async def list_providers(
        principal: Annotated[Principal | None, Depends(find_principal)],
    ) -> Page[ProviderWire]:
        """Strangers see those that they can sign in with here; signed-in people see all, set up or not.

        The generic entries are patterns for an installation's own providers, and nothing to connect by themselves.
        """
        shown = [
            provider
            for provider in providers.all()
            if provider.configured or (principal is not None and not provider.generic)
            if principal is not None or provider.sign_in
        ]
        return Page(items=[_wire(provider) for provider in shown])

    return router


def _wire(provider: Provider) -> ProviderWire:
    return ProviderWire(
        name=provider.name,
        title=provider.title,
        icon=provider.icon,
        auth=provider.auth,
        sign_in=provider.sign_in,
        connect=provider.connect,
        unverified=provider.unverified,
        docs_url=provider.docs_url,
        scopes=[ScopeWire.model_validate(scope) for scope in provider.scopes],
        default_scopes=list(provider.default_scopes),
        fields=[FieldWire.model_validate(one) for one in provider.fields],
        configured=provider.configured,
    )
