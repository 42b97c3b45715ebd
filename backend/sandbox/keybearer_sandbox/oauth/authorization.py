"""The authorization endpoint (RFC 6749 section 4.1.1): checks the request, asks the person, sends a code back."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from keybearer_sandbox.accounts import Account, find_account
from keybearer_sandbox.consent import pages
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth import parameters, pkce
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.provider import Provider, split_scopes
from keybearer_sandbox.oauth.refusals import AuthorizationRefused, AuthorizationReturned
from keybearer_sandbox.oauth.tokens import Grant, new_grant_id
from keybearer_sandbox.sandbox import Sandbox


@dataclass(frozen=True)
class _Asked:
    fields: Mapping[str, str]
    client_id: str
    redirect_uri: str


class AuthorizationEndpoint:
    def __init__(self, sandbox: Sandbox, provider: Provider) -> None:
        self._sandbox = sandbox
        self._provider = provider

    async def answer(self, request: Request) -> Response:
        self._sandbox.stats.count(self._provider.name, "authorize")
        struck = await strike(self._sandbox, self._provider, "authorize", request)
        if struck:
            return struck
        try:
            asked = self._identify_client(request)
            return self._decide(asked)
        except AuthorizationRefused as refusal:
            return pages.refusal(self._provider, refusal)

    def _identify_client(self, request: Request) -> _Asked:
        """Until client and redirect URI are known to be good, nothing is ever sent to that URI."""
        try:
            fields = parameters.query(request)
        except MalformedRequest as error:
            raise AuthorizationRefused("malformed", str(error)) from error
        client_id = fields.get("client_id", "")
        if not client_id:
            raise AuthorizationRefused("parameter_missing", "client_id")
        if self._sandbox.clients.find(self._provider.name, client_id) is None:
            raise AuthorizationRefused("client_unknown")
        registered = self._sandbox.clients.redirect_uris
        redirect_uri = fields.get("redirect_uri", "")
        if not redirect_uri:
            if not self._provider.redirect_uri_optional:
                raise AuthorizationRefused("parameter_missing", "redirect_uri")
            redirect_uri = registered[0]
        if redirect_uri not in registered:
            raise AuthorizationRefused("redirect_uri_unknown")
        return _Asked(fields, client_id, redirect_uri)

    def _decide(self, asked: _Asked) -> Response:
        fields = asked.fields
        try:
            scopes = self._provider.requested_scopes(fields)
            _check_challenge(fields)
            account = _chosen_account(fields)
            given = self._given(asked, account)
            self._provider.check_authorization(fields, consented=account is not None and set(scopes) <= given)
        except AuthorizationReturned as returned:
            return self._return(asked, {"error": returned.error, "error_description": returned.description})
        if fields.get("sandbox_decision") == "deny":
            return self._return(asked, self._provider.denial)
        if account is None:
            return pages.consent(self._provider, fields, scopes)
        return self._return(asked, {"code": self._consent(asked, account, scopes)})

    def _consent(self, asked: _Asked, account: Account, scopes: tuple[str, ...]) -> str:
        fields = asked.fields
        given = self._given(asked, account)
        first = not set(scopes) <= given or not given
        if "sandbox_scopes" in fields:
            allowed = set(split_scopes(fields["sandbox_scopes"]))
            scopes = tuple(s for s in scopes if s in allowed)
        if self._provider.includes_granted_scopes(fields):
            scopes = tuple(dict.fromkeys((*scopes, *sorted(given))))
        self._sandbox.consents.add(self._provider.name, asked.client_id, account.email, scopes)
        offline = self._provider.gives_refresh_token(fields, scopes, first_consent=first)
        grant = Grant(new_grant_id(), self._provider.name, asked.client_id, account.email, scopes, offline=offline)
        code = self._sandbox.tokens.issue_code(
            grant,
            asked.redirect_uri,
            fields.get("code_challenge"),
            fields.get("nonce"),
            # Whoever gets this far has just said who they are.
            auth_time=self._sandbox.clock() if "max_age" in fields else None,
        )
        return code.value

    def _given(self, asked: _Asked, account: Account | None) -> frozenset[str]:
        if account is None:
            return frozenset()
        return self._sandbox.consents.given(self._provider.name, asked.client_id, account.email)

    def _return(self, asked: _Asked, answer: Mapping[str, str]) -> Response:
        answer = dict(answer)
        if "state" in asked.fields:
            answer["state"] = asked.fields["state"]
        if self._provider.names_issuer_in_redirect:
            answer["iss"] = self._provider.issuer
        return RedirectResponse(_with_query(asked.redirect_uri, answer), 302, {"Cache-Control": "no-store"})


def _check_challenge(fields: Mapping[str, str]) -> None:
    challenge, method = fields.get("code_challenge"), fields.get("code_challenge_method")
    if challenge is None and method is None:
        return
    if method != "S256":
        raise AuthorizationRefused("challenge_method_unsupported", "code_challenge_method")
    if challenge is None or not pkce.is_challenge(challenge):
        raise AuthorizationRefused("challenge_malformed", "code_challenge")


def _chosen_account(fields: Mapping[str, str]) -> Account | None:
    email = fields.get("sandbox_account")
    if email is None or fields.get("sandbox_decision") == "deny":
        return None
    account = find_account(email)
    if account is None:
        raise AuthorizationRefused("account_unknown")
    return account


def _with_query(uri: str, answer: dict[str, str]) -> str:
    parts = urlsplit(uri)
    added = urlencode({name: value for name, value in answer.items() if value})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))
