"""A generic OpenID Connect server, as strict as the standard and without habits of its own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import Response

from keybearer_sandbox.accounts import Account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth.provider import Provider, Refusal, split_scopes
from keybearer_sandbox.oauth.refusals import ApiRefused, AuthorizationRefused, AuthorizationReturned

SCOPES = ("openid", "profile", "email", "offline_access", "api:read", "api:write")
_PROMPTS = {"none", "login", "consent", "select_account"}
_INVALID_CLIENT = Refusal(401, "invalid_client", "Client authentication failed.")
_INVALID_CODE = Refusal(400, "invalid_grant", "The authorization code is invalid, used or expired.")
_INVALID_VERIFIER = Refusal(400, "invalid_grant", "The code verifier does not fit the code challenge.")


class GenericOidc(Provider):
    name = "oidc"
    title = "Example ID"
    takes_client_credentials = True
    names_issuer_in_redirect = True
    authorization_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": Refusal(400, "invalid_request", "The parameter {parameter} is missing."),
        "client_unknown": Refusal(400, "invalid_request", "No client with this client_id is registered."),
        "redirect_uri_unknown": Refusal(400, "invalid_request", "The redirect_uri is not registered."),
        "challenge_method_unsupported": Refusal(400, "invalid_request", "Only S256 is supported."),
        "challenge_malformed": Refusal(400, "invalid_request", "The code_challenge is malformed."),
        "account_unknown": Refusal(400, "invalid_request", "The sandbox has no such account."),
    }
    token_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": Refusal(400, "invalid_request", "The parameter {parameter} is missing."),
        "two_authentications": Refusal(400, "invalid_request", "Use one client authentication only."),
        "client_missing": _INVALID_CLIENT,
        "client_unknown": _INVALID_CLIENT,
        "client_secret_wrong": _INVALID_CLIENT,
        "client_secret_missing": _INVALID_CLIENT,
        "code_unknown": _INVALID_CODE,
        "code_used": _INVALID_CODE,
        "code_expired": _INVALID_CODE,
        "redirect_uri_differs": Refusal(400, "invalid_grant", "The redirect_uri is not the one authorized."),
        "verifier_missing": _INVALID_VERIFIER,
        "verifier_wrong": _INVALID_VERIFIER,
        "verifier_unexpected": Refusal(400, "invalid_grant", "No code challenge was given for this code."),
        "refresh_token_unknown": Refusal(400, "invalid_grant", "The refresh token is not known."),
        "refresh_token_revoked": Refusal(400, "invalid_grant", "The refresh token was revoked."),
        "scope_exceeds_grant": Refusal(400, "invalid_scope", "The scope is wider than what was granted."),
        "grant_type_unsupported": Refusal(400, "unsupported_grant_type", "The grant type is not supported."),
        "rate_limited": Refusal(429, "temporarily_unavailable", "Too many requests."),
        "server_error": Refusal(503, "temporarily_unavailable", "The service is unavailable."),
    }

    def requested_scopes(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        response_type = fields.get("response_type")
        if not response_type:
            raise AuthorizationReturned("invalid_request", "The parameter response_type is missing.")
        if response_type != "code":
            raise AuthorizationReturned("unsupported_response_type", "Use response_type=code.")
        scopes = split_scopes(fields.get("scope", ""))
        if not scopes or not set(scopes) <= set(SCOPES):
            raise AuthorizationReturned("invalid_scope", "A requested scope is not known.")
        return scopes

    def check_authorization(self, fields: Mapping[str, str], *, consented: bool) -> None:
        if "request" in fields or "request_uri" in fields:
            raise AuthorizationReturned("request_not_supported", "Request objects are not supported.")
        if fields.get("response_mode", "query") != "query":
            raise AuthorizationRefused("malformed", "Only response_mode=query is supported.")
        prompts = set(fields.get("prompt", "").split())
        if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
            raise AuthorizationReturned("invalid_request", "The prompt is not valid.")
        if "none" in prompts and not consented:
            raise AuthorizationReturned("login_required", "The person must sign in first.")

    def gives_refresh_token(self, fields: Mapping[str, str], scopes: tuple[str, ...], *, first_consent: bool) -> bool:
        return "offline_access" in scopes

    def identity_claims(self, account: Account, scopes: tuple[str, ...]) -> dict[str, Any] | None:
        return person_claims(account, scopes) if "openid" in scopes else None

    def api_refused(self, refusal: ApiRefused) -> Response:
        status, error, description = _API_WORDS[refusal.reason]
        description = description or refusal.message
        headers = dict(refusal.headers)
        if refusal.reason == "token_missing":
            headers["WWW-Authenticate"] = 'Bearer realm="sandbox"'
        elif status in (401, 403):
            headers["WWW-Authenticate"] = f'Bearer realm="sandbox", error="{error}"'
        return Json({"error": error, "error_description": description}, status, headers)


def person_claims(account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
    claims: dict[str, Any] = {"sub": account.oidc_subject()}
    if "email" in scopes:
        claims |= {"email": account.email, "email_verified": True}
    if "profile" in scopes:
        claims |= {
            "name": account.name,
            "given_name": account.given_name,
            "family_name": account.family_name,
            "preferred_username": account.handle,
        }
    return claims


_API_WORDS = {
    "token_missing": (401, "invalid_token", "An access token is needed."),
    "authorization_malformed": (400, "invalid_request", "The Authorization header is not a bearer token."),
    "token_unknown": (401, "invalid_token", "The access token is not valid."),
    "token_expired": (401, "invalid_token", "The access token expired."),
    "scope_missing": (403, "insufficient_scope", "The access token lacks a scope."),
    "bad_request": (400, "invalid_request", ""),
    "not_found": (404, "not_found", "There is nothing here."),
    "rate_limited": (429, "temporarily_unavailable", "Too many requests."),
    "server_error": (503, "temporarily_unavailable", "The service is unavailable."),
}
