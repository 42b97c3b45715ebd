"""`GET /auth/providers`: whom a person may sign in with, and what a signed-in person may connect."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from keybearer.http.principal import find_principal
from keybearer.http.schemas import Page, Wire
from keybearer.kit.principal import Principal
from keybearer.providers.model import Provider
from keybearer.providers.service import Providers


class ScopeWire(Wire):
    name: str
    title: str


class FieldWire(Wire):
    name: str
    label: str
    secret: bool
    placeholder: str | None


class ProviderWire(Wire):
    """`configured` false: this installation has no client for it yet, so it can only be shown."""

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


_EXAMPLE = {
    "items": [
        {
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
    ],
    "next": None,
}


def routes(providers: Providers) -> APIRouter:
    router = APIRouter(tags=["providers"])

    @router.get(
        "/auth/providers",
        summary="Providers to sign in with or connect",
        responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
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
