"""The token endpoint (RFC 6749 sections 4.1.3 and 6), the same for all providers but for their words."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from keybearer_sandbox.accounts import find_account
from keybearer_sandbox.answers import HangUp
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth import id_tokens
from keybearer_sandbox.oauth.clients import Authenticated
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.provider import Provider, TokenAnswer, split_scopes
from keybearer_sandbox.oauth.refusals import TokenRefused
from keybearer_sandbox.oauth.tokens import AccessToken, Code, Grant, RefreshToken, new_grant_id
from keybearer_sandbox.sandbox import Sandbox

_OPERATIONS = {
    "authorization_code": "code",
    "refresh_token": "refresh",
    "client_credentials": "client_credentials",
}
_COUNTERS = {"code": "token", "refresh": "refresh", "client_credentials": "client_credentials"}


class TokenEndpoint:
    def __init__(self, sandbox: Sandbox, provider: Provider) -> None:
        self._sandbox = sandbox
        self._provider = provider

    async def answer(self, request: Request) -> Response:
        try:
            form = await self._provider.token_form(request)
        except MalformedRequest as error:
            return self._provider.token_refused(request, TokenRefused("malformed", str(error)))
        form.setdefault("grant_type", self._provider.default_grant_type)
        operation = _OPERATIONS.get(form["grant_type"], "code")
        self._sandbox.stats.count(self._provider.name, _COUNTERS[operation])
        struck = await strike(self._sandbox, self._provider, operation, request)
        if struck:
            return struck
        try:
            answer, lost = self._grant(request, form)
        except TokenRefused as refusal:
            return self._provider.token_refused(request, refusal)
        return HangUp() if lost else self._provider.token_answer(request, answer)

    def _grant(self, request: Request, form: dict[str, str]) -> tuple[TokenAnswer, bool]:
        """The answer, and whether it is to be lost on its way."""
        grant_type = form["grant_type"]
        if not grant_type:
            raise TokenRefused("parameter_missing", "grant_type")
        client = self._sandbox.clients.authenticate(self._provider.name, request, form)
        if grant_type == "authorization_code":
            return self._exchange_code(client, form), self._takes("lost_response", "code")
        if grant_type == "refresh_token":
            return self._refresh(client, form)
        if grant_type == "client_credentials" and self._provider.takes_client_credentials:
            answer = self._client_credentials(client, form)
            return answer, self._takes("lost_response", "client_credentials")
        raise TokenRefused("grant_type_unsupported", grant_type)

    def _exchange_code(self, client: Authenticated, form: dict[str, str]) -> TokenAnswer:
        if not form.get("code"):
            raise TokenRefused("parameter_missing", "code")
        if "redirect_uri" not in form and not self._provider.redirect_uri_optional:
            raise TokenRefused("parameter_missing", "redirect_uri")
        code = self._sandbox.tokens.redeem_code(form, client.client.client_id, public=client.public)
        grant = code.grant
        if client.public:
            grant = replace(grant, public=True)
        access = self._new_access_token(grant)
        refresh = None
        if grant.offline and not self._takes("omit_refresh_token", "code"):
            refresh = self._sandbox.tokens.issue_refresh_token(grant).value
        return self._answer(access, refresh, "code", code)

    def _refresh(self, client: Authenticated, form: dict[str, str]) -> tuple[TokenAnswer, bool]:
        presented = form.get("refresh_token")
        if not presented:
            raise TokenRefused("parameter_missing", "refresh_token")
        token = self._sandbox.tokens.usable_refresh_token(presented, client.client.client_id)
        if client.public and not token.grant.public:
            raise TokenRefused("client_secret_missing")
        grant = self._narrowed(token, form.get("scope"))
        access = self._new_access_token(grant)
        successor, lost = self._successor(token)
        self._sandbox.stats.count(self._provider.name, "refresh_succeeded")
        return self._answer(access, successor, "refresh"), lost

    def _successor(self, token: RefreshToken) -> tuple[str | None, bool]:
        """The refresh token to answer with, if a new one, and whether the answer is to be lost."""
        lost = self._sandbox.faults.take(self._provider.name, "lost_response", "refresh")
        if not lost and self._takes("omit_refresh_token", "refresh"):
            return None, False
        rotate = self._sandbox.faults.take(self._provider.name, "rotate", "refresh")
        by_habit = self._provider.rotates_refresh_tokens(token.grant)
        if not (lost or rotate or by_habit or token.successor):
            return None, False
        cause = lost or rotate
        grace = cause.rotation_grace_seconds if cause else 0.0
        return self._sandbox.tokens.rotate(token, grace).value, lost is not None

    def _client_credentials(self, client: Authenticated, form: dict[str, str]) -> TokenAnswer:
        if client.public:
            raise TokenRefused("client_secret_missing")
        scopes = split_scopes(form.get("scope", ""))
        grant = Grant(new_grant_id(), self._provider.name, client.client.client_id, "", scopes, offline=False)
        return self._answer(self._new_access_token(grant), None, "client_credentials")

    def _narrowed(self, token: RefreshToken, scope: str | None) -> Grant:
        if not scope:
            return token.grant
        scopes = split_scopes(scope)
        if not set(scopes) <= set(token.grant.scopes):
            raise TokenRefused("scope_exceeds_grant")
        return replace(token.grant, scopes=scopes)

    def _new_access_token(self, grant: Grant) -> AccessToken:
        return self._sandbox.tokens.issue_access_token(grant, self._sandbox.expires_in[self._provider.name])

    def _answer(
        self, access: AccessToken, refresh_token: str | None, operation: str, code: Code | None = None
    ) -> TokenAnswer:
        account = find_account(access.grant.account)
        id_token = None
        if account:
            id_token = id_tokens.issue(self._sandbox, self._provider, account, access, operation=operation, code=code)
        expires_in = self._sandbox.expires_in[self._provider.name]
        return TokenAnswer(access.value, expires_in, access.grant.scopes, refresh_token, id_token)

    def _takes(self, fault: str, operation: str) -> bool:
        return self._sandbox.faults.take(self._provider.name, fault, operation) is not None
