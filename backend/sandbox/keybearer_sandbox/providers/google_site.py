"""Puts the fake Google's endpoints together, among them its revocation, which ends the whole consent."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from keybearer_sandbox.answers import Json
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.authorization import AuthorizationEndpoint
from keybearer_sandbox.oauth.bearer import GuardedApi
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.token_endpoint import TokenEndpoint
from keybearer_sandbox.providers.google import Google
from keybearer_sandbox.providers.google_api import GoogleApi
from keybearer_sandbox.providers.openid import OpenIdDocuments
from keybearer_sandbox.providers.transfers import Transfers
from keybearer_sandbox.sandbox import Sandbox

_ENDPOINTS = {
    "authorization_endpoint": "/o/oauth2/v2/auth",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/v1/userinfo",
    "revocation_endpoint": "/revoke",
    "jwks_uri": "/oauth2/v3/certs",
}
_METADATA = {
    "scopes_supported": ["openid", "email", "profile"],
    "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "name", "picture", "sub"],
}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    provider = Google(sandbox.settings.base_url)
    api = GuardedApi(sandbox, provider)
    return [
        Route(_ENDPOINTS["authorization_endpoint"], AuthorizationEndpoint(sandbox, provider).answer),
        Route(_ENDPOINTS["token_endpoint"], TokenEndpoint(sandbox, provider).answer, methods=["POST"]),
        Route(_ENDPOINTS["revocation_endpoint"], _Revocation(sandbox, provider).answer, methods=["POST"]),
        *OpenIdDocuments(sandbox, provider, _ENDPOINTS, _METADATA).routes(),
        *GoogleApi().routes(api),
        *Transfers(sandbox.closing).routes(api, "/v1"),
    ]


class _Revocation:
    """Takes an access or a refresh token, in the query or the form, and needs no client authentication."""

    def __init__(self, sandbox: Sandbox, provider: Google) -> None:
        self._sandbox = sandbox
        self._provider = provider

    async def answer(self, request: Request) -> Response:
        self._sandbox.stats.count("google", "revoke")
        struck = await strike(self._sandbox, self._provider, "revoke", request)
        if struck:
            return struck
        try:
            fields = parameters.query(request)
            value = fields.get("token") or (await parameters.form(request)).get("token", "")
        except MalformedRequest as error:
            return Json({"error": "invalid_request", "error_description": str(error)}, 400)
        tokens = self._sandbox.tokens
        token = tokens.find_access_token(value) or tokens.find_refresh_token(value)
        if token is None or token.revoked or token.grant.provider != "google":
            return Json({"error": "invalid_token", "error_description": "Token expired or revoked"}, 400)
        tokens.revoke_consent(token.grant)
        self._sandbox.consents.withdraw("google", token.grant.client_id, token.grant.account)
        return Json({})
