"""Guards API endpoints: counts the call, lets faults strike, checks the access token and its scopes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.accounts import Account, find_account
from keybearer_sandbox.answers import HangUp
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.provider import Provider
from keybearer_sandbox.oauth.refusals import ApiRefused
from keybearer_sandbox.oauth.tokens import AccessToken
from keybearer_sandbox.sandbox import Sandbox

SERVICE = Account("service", "Service", "Account")


@dataclass(frozen=True)
class ApiCall:
    """A request whose access token was found good, and the person it speaks for."""

    request: Request
    token: AccessToken
    account: Account


Handler = Callable[[ApiCall], Awaitable[Response]]


class GuardedApi:
    """Builds the routes of one provider's API. `schemes` are the words accepted before the token."""

    def __init__(self, sandbox: Sandbox, provider: Provider, schemes: tuple[str, ...] = ("bearer",)) -> None:
        self._sandbox = sandbox
        self._provider = provider
        self._schemes = schemes

    def route(
        self,
        path: str,
        handler: Handler,
        operation: str,
        scopes: tuple[str, ...] = (),
        methods: tuple[str, ...] = ("GET",),
    ) -> Route:
        """A route that needs any one of `scopes`, where there are some."""

        async def endpoint(request: Request) -> Response:
            self._sandbox.stats.count(self._provider.name, operation)
            return await self._answer(request, handler, scopes)

        return Route(path, endpoint, methods=list(methods))

    async def _answer(self, request: Request, handler: Handler, scopes: tuple[str, ...]) -> Response:
        presented = self._presented(request)
        if presented:
            self._sandbox.stats.access_token_presented(self._provider.name, presented)
        struck = await strike(self._sandbox, self._provider, "api", request)
        if struck:
            return struck
        lost = self._sandbox.faults.take(self._provider.name, "lost_response", "api")
        try:
            answer = await handler(self._admit(request, presented, scopes))
        except ApiRefused as refusal:
            answer = self._provider.api_refused(refusal)
        except MalformedRequest as error:
            answer = self._provider.api_refused(ApiRefused("bad_request", str(error)))
        return HangUp() if lost else answer

    def _presented(self, request: Request) -> str | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() in self._schemes else None

    def _admit(self, request: Request, presented: str | None, scopes: tuple[str, ...]) -> ApiCall:
        self._provider.check_api_request(request)
        if not presented:
            has_header = "authorization" in request.headers
            raise ApiRefused("authorization_malformed" if has_header else "token_missing")
        token = self._sandbox.tokens.find_access_token(presented)
        if token is None or token.revoked or token.grant.provider != self._provider.name:
            raise ApiRefused("token_unknown")
        if self._sandbox.tokens.is_expired(token):
            raise ApiRefused("token_expired")
        if self._sandbox.faults.take(self._provider.name, "reject_access_token", "api"):
            raise ApiRefused("token_expired")
        if scopes and not set(scopes) & set(token.grant.scopes):
            raise ApiRefused("scope_missing", " ".join(scopes))
        return ApiCall(request, token, find_account(token.grant.account) or SERVICE)
