"""Puts the generic OpenID Connect server's endpoints together, with revocation as RFC 7009 has it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from keybearer_sandbox.answers import Json
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth.authorization import AuthorizationEndpoint
from keybearer_sandbox.oauth.bearer import ApiCall, GuardedApi
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.refusals import TokenRefused
from keybearer_sandbox.oauth.token_endpoint import TokenEndpoint
from keybearer_sandbox.providers.oidc import SCOPES, GenericOidc, person_claims
from keybearer_sandbox.providers.openid import OpenIdDocuments
from keybearer_sandbox.providers.transfers import Transfers
from keybearer_sandbox.sandbox import Sandbox

_ENDPOINTS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "revocation_endpoint": "/revoke",
    "jwks_uri": "/jwks",
}
_METADATA = {
    "scopes_supported": list(SCOPES),
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
    "authorization_response_iss_parameter_supported": True,
    "claims_supported": ["sub", "email", "email_verified", "name", "preferred_username"],
}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    provider = GenericOidc(sandbox.settings.base_url)
    api = GuardedApi(sandbox, provider)
    return [
        Route(_ENDPOINTS["authorization_endpoint"], AuthorizationEndpoint(sandbox, provider).answer),
        Route(_ENDPOINTS["token_endpoint"], TokenEndpoint(sandbox, provider).answer, methods=["POST"]),
        Route(_ENDPOINTS["revocation_endpoint"], _Revocation(sandbox, provider).answer, methods=["POST"]),
        *OpenIdDocuments(sandbox, provider, _ENDPOINTS, _METADATA).routes(),
        api.route(_ENDPOINTS["userinfo_endpoint"], _userinfo, "userinfo", ("openid",), ("GET", "POST")),
        *Transfers(sandbox.closing).routes(api, "/api"),
    ]


async def _userinfo(call: ApiCall) -> Response:
    return Json(person_claims(call.account, call.token.grant.scopes))


class _Revocation:
    def __init__(self, sandbox: Sandbox, provider: GenericOidc) -> None:
        self._sandbox = sandbox
        self._provider = provider

    async def answer(self, request: Request) -> Response:
        self._sandbox.stats.count("oidc", "revoke")
        struck = await strike(self._sandbox, self._provider, "revoke", request)
        if struck:
            return struck
        try:
            form = await self._provider.token_form(request)
            client = self._sandbox.clients.authenticate("oidc", request, form)
        except MalformedRequest as error:
            return self._provider.token_refused(request, TokenRefused("malformed", str(error)))
        except TokenRefused as refusal:
            return self._provider.token_refused(request, refusal)
        if not form.get("token"):
            return self._provider.token_refused(request, TokenRefused("parameter_missing", "token"))
        self._revoke(form["token"], client.client.client_id)
        return Response(status_code=200)

    def _revoke(self, value: str, client_id: str) -> None:
        """Unknown tokens are no error (RFC 7009 section 2.2); a refresh token takes its access tokens along."""
        tokens = self._sandbox.tokens
        refresh, access = tokens.find_refresh_token(value), tokens.find_access_token(value)
        if refresh and (refresh.grant.provider, refresh.grant.client_id) == ("oidc", client_id):
            tokens.revoke_grant(refresh.grant.grant_id)
        elif access and (access.grant.provider, access.grant.client_id) == ("oidc", client_id):
            tokens.revoke_access_token(access)
