"""Fake Google: OpenID Connect with Google's own parameters, scope spellings and words."""

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import Response

from keybearer_sandbox.accounts import Account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth.provider import Provider, Refusal, split_scopes
from keybearer_sandbox.oauth.refusals import ApiRefused, AuthorizationRefused, AuthorizationReturned

_SCOPE_URL = "https://www.googleapis.com/auth/"
EMAIL_SCOPE = f"{_SCOPE_URL}userinfo.email"
PROFILE_SCOPE = f"{_SCOPE_URL}userinfo.profile"
_SPELLINGS = {"email": EMAIL_SCOPE, "profile": PROFILE_SCOPE}
_OTHER_SCOPES = {"openid", "https://mail.google.com/"}
_PROMPTS = {"none", "consent", "select_account"}

_INVALID_CLIENT = Refusal(401, "invalid_client", "The OAuth client was not found.")
_BAD_REQUEST = Refusal(400, "invalid_request", "Bad Request")


class Google(Provider):
    name = "google"
    title = "Google"
    authorization_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": Refusal(400, "invalid_request", "Required parameter is missing: {parameter}"),
        "parameter_invalid": Refusal(400, "invalid_request", "Invalid parameter value for {parameter}"),
        "client_unknown": _INVALID_CLIENT,
        "redirect_uri_unknown": Refusal(
            400,
            "redirect_uri_mismatch",
            "The redirect URI in the request does not match one that is registered for the client.",
        ),
        "response_type_unsupported": Refusal(400, "unsupported_response_type", "Use response_type=code."),
        "scope_invalid": Refusal(400, "invalid_scope", "Some requested scopes were invalid: {parameter}"),
        "challenge_method_unsupported": Refusal(400, "invalid_request", "Invalid code challenge method."),
        "challenge_malformed": Refusal(400, "invalid_request", "Code challenge is not valid."),
        "account_unknown": Refusal(400, "invalid_request", "The sandbox has no such account."),
    }
    token_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": Refusal(400, "invalid_request", "Missing required parameter: {parameter}"),
        "two_authentications": _BAD_REQUEST,
        "client_missing": Refusal(400, "invalid_request", "Could not determine client ID from request."),
        "client_unknown": _INVALID_CLIENT,
        "client_secret_wrong": Refusal(401, "invalid_client", "Unauthorized"),
        "client_secret_missing": Refusal(400, "invalid_request", "client_secret is missing."),
        "code_unknown": Refusal(400, "invalid_grant", "Malformed auth code."),
        "code_used": Refusal(400, "invalid_grant", "Bad Request"),
        "code_expired": Refusal(400, "invalid_grant", "Bad Request"),
        "redirect_uri_differs": Refusal(400, "redirect_uri_mismatch", "Bad Request"),
        "verifier_missing": Refusal(400, "invalid_grant", "Missing code verifier."),
        "verifier_wrong": Refusal(400, "invalid_grant", "Invalid code verifier."),
        "verifier_unexpected": Refusal(400, "invalid_grant", "code_verifier or verifier is not needed."),
        "refresh_token_unknown": Refusal(400, "invalid_grant", "Bad Request"),
        "refresh_token_revoked": Refusal(400, "invalid_grant", "Token has been expired or revoked."),
        "scope_exceeds_grant": Refusal(400, "invalid_scope", "Some requested scopes were invalid."),
        "grant_type_unsupported": Refusal(400, "unsupported_grant_type", "Invalid grant_type: {parameter}"),
        "rate_limited": Refusal(429, "rate_limit_exceeded", "Too many requests."),
        "server_error": Refusal(503, "internal_failure", "The service is unavailable."),
    }

    def requested_scopes(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        if not fields.get("response_type"):
            raise AuthorizationRefused("parameter_missing", "response_type")
        if fields["response_type"] != "code":
            raise AuthorizationRefused("response_type_unsupported")
        if not fields.get("scope", "").strip():
            raise AuthorizationRefused("parameter_missing", "scope")
        scopes = tuple(dict.fromkeys(_SPELLINGS.get(s, s) for s in split_scopes(fields["scope"])))
        unknown = [s for s in scopes if s not in _OTHER_SCOPES and not s.startswith(_SCOPE_URL)]
        if unknown:
            raise AuthorizationRefused("scope_invalid", " ".join(unknown))
        return scopes

    def check_authorization(self, fields: Mapping[str, str], *, consented: bool) -> None:
        if fields.get("access_type", "online") not in ("online", "offline"):
            raise AuthorizationRefused("parameter_invalid", "access_type")
        if fields.get("include_granted_scopes", "false") not in ("true", "false"):
            raise AuthorizationRefused("parameter_invalid", "include_granted_scopes")
        prompts = set(fields.get("prompt", "").split())
        if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
            raise AuthorizationRefused("parameter_invalid", "prompt")
        if "none" in prompts and not consented:
            raise AuthorizationReturned("interaction_required")

    def includes_granted_scopes(self, fields: Mapping[str, str]) -> bool:
        return fields.get("include_granted_scopes") == "true"

    def gives_refresh_token(self, fields: Mapping[str, str], scopes: tuple[str, ...], *, first_consent: bool) -> bool:
        """As Google does: only offline, and only where the person was really asked."""
        asked = first_consent or "consent" in fields.get("prompt", "").split()
        return fields.get("access_type") == "offline" and asked

    def identity_claims(self, account: Account, scopes: tuple[str, ...]) -> dict[str, Any] | None:
        return person_claims(account, scopes) if "openid" in scopes else None

    def api_refused(self, refusal: ApiRefused) -> Response:
        status, code, message = _API_WORDS[refusal.reason]
        error = {"code": status, "message": message or refusal.message, "status": code}
        headers = dict(refusal.headers)
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        if refusal.reason == "scope_missing":
            headers["WWW-Authenticate"] = (
                f'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{refusal.message}"'
            )
        return Json({"error": error}, status, headers)


def person_claims(account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
    """What userinfo and the id_token say about a person under these scopes."""
    claims: dict[str, Any] = {"sub": account.google_subject()}
    if EMAIL_SCOPE in scopes:
        claims |= {"email": account.email, "email_verified": True}
    if PROFILE_SCOPE in scopes:
        claims |= {
            "name": account.name,
            "given_name": account.given_name,
            "family_name": account.family_name,
            "picture": f"https://lh3.googleusercontent.com/a/sandbox-{account.handle}",
        }
    return claims


_UNAUTHENTICATED = "Request had invalid authentication credentials. Expected OAuth 2 access token."
_API_WORDS = {
    "token_missing": (401, "UNAUTHENTICATED", "Request is missing required authentication credential."),
    "authorization_malformed": (401, "UNAUTHENTICATED", _UNAUTHENTICATED),
    "token_unknown": (401, "UNAUTHENTICATED", _UNAUTHENTICATED),
    "token_expired": (401, "UNAUTHENTICATED", _UNAUTHENTICATED),
    "scope_missing": (403, "PERMISSION_DENIED", "Request had insufficient authentication scopes."),
    "bad_request": (400, "INVALID_ARGUMENT", ""),
    "not_found": (404, "NOT_FOUND", "Requested entity was not found."),
    "rate_limited": (429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "server_error": (503, "UNAVAILABLE", "The service is currently unavailable."),
}
