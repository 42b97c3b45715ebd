"""Puts the fake GitHub's endpoints together, among them its revocation, which the application itself may ask for."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from keybearer_sandbox.answers import Json
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.authorization import AuthorizationEndpoint
from keybearer_sandbox.oauth.bearer import GuardedApi
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.refusals import ApiRefused, TokenRefused
from keybearer_sandbox.oauth.token_endpoint import TokenEndpoint
from keybearer_sandbox.providers.github import Github
from keybearer_sandbox.providers.github_api import GithubApi
from keybearer_sandbox.providers.transfers import Transfers
from keybearer_sandbox.sandbox import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    provider = Github(sandbox.settings.base_url, lambda: sandbox.expires_in["github"])
    api = GuardedApi(sandbox, provider, schemes=("bearer", "token"))
    token = TokenEndpoint(sandbox, provider)
    revocation = _Revocation(sandbox, provider)
    rest = [
        *GithubApi(sandbox, provider.issuer).routes(api),
        Route("/applications/{client_id}/token", revocation.token, methods=["DELETE"]),
        Route("/applications/{client_id}/grant", revocation.grant, methods=["DELETE"]),
        *Transfers(sandbox.closing).routes(api, ""),
    ]
    return [
        Route("/login/oauth/authorize", AuthorizationEndpoint(sandbox, provider).answer),
        Route("/login/oauth/access_token", token.answer, methods=["POST"]),
        Mount("/api", routes=rest),  # an enterprise server keeps the API there, api.github.com at its root
        *rest,
    ]


class _Revocation:
    def __init__(self, sandbox: Sandbox, provider: Github) -> None:
        self._sandbox = sandbox
        self._provider = provider

    async def token(self, request: Request) -> Response:
        return await self._answer(request, whole_consent=False)

    async def grant(self, request: Request) -> Response:
        return await self._answer(request, whole_consent=True)

    async def _answer(self, request: Request, *, whole_consent: bool) -> Response:
        self._sandbox.stats.count("github", "revoke")
        struck = await strike(self._sandbox, self._provider, "revoke", request)
        if struck:
            return struck
        try:
            client = self._sandbox.clients.authenticate("github", request, {})
            value = (await parameters.json_object(request)).get("access_token")
        except TokenRefused:
            return self._provider.api_refused(ApiRefused("token_missing"))
        except MalformedRequest:
            return self._provider.api_refused(ApiRefused("bad_request", "Problems parsing JSON"))
        if client.public or client.client.client_id != request.path_params["client_id"]:
            return self._provider.api_refused(ApiRefused("not_found"))
        token = self._sandbox.tokens.find_access_token(value) if isinstance(value, str) else None
        if token is None or token.revoked or token.grant.provider != "github":
            return Json({"message": "Not Found", "status": "404"}, 404)
        if whole_consent:
            self._sandbox.tokens.revoke_consent(token.grant)
            self._sandbox.consents.withdraw("github", token.grant.client_id, token.grant.account)
        else:
            self._sandbox.tokens.revoke_grant(token.grant.grant_id)
        return Response(status_code=204)
