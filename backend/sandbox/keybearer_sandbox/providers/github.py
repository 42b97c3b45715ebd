"""Fake GitHub: its token endpoint answers forms, says 200 to its own refusals, and separates scopes by commas."""

from collections.abc import Callable, Mapping
from typing import ClassVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.provider import NO_STORE, Provider, Refusal, TokenAnswer, split_scopes
from keybearer_sandbox.oauth.refusals import ApiRefused, TokenRefused
from keybearer_sandbox.oauth.tokens import Grant

REFRESH_TOKEN_SECONDS = 15_897_600
_DOCUMENTATION = "https://docs.github.com/rest"
_ERRORS_EXPLAINED = (
    "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/"
)
_IMPLIED = {
    "repo": {"public_repo", "repo:status", "repo:invite", "repo_deployment", "security_events"},
    "user": {"read:user", "user:email", "user:follow"},
}
_BAD_CLIENT = Refusal(200, "incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
_BAD_CODE = Refusal(200, "bad_verification_code", "The code passed is incorrect or expired.")
_BAD_REFRESH = Refusal(200, "bad_refresh_token", "The refresh token passed is incorrect or expired.")


class Github(Provider):
    """`expires_in` None is an OAuth app, whose tokens live on; a number makes it an app with expiring tokens."""

    name = "github"
    title = "GitHub"
    default_grant_type = "authorization_code"
    redirect_uri_optional = True
    denial: ClassVar[Mapping[str, str]] = {
        "error": "access_denied",
        "error_description": "The user has denied your application access.",
        "error_uri": "https://docs.github.com/apps/troubleshooting-authorization-request-errors/#access-denied",
    }
    authorization_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "bad_request", "{parameter}"),
        "parameter_missing": Refusal(404, "not_found", "There is no application here: {parameter} is missing."),
        "client_unknown": Refusal(404, "not_found", "There is no application with this client_id."),
        "redirect_uri_unknown": Refusal(
            400, "redirect_uri_mismatch", "The redirect_uri is not associated with this application."
        ),
        "challenge_method_unsupported": Refusal(400, "bad_request", "code_challenge_method must be S256."),
        "challenge_malformed": Refusal(400, "bad_request", "code_challenge is not a SHA-256 digest."),
        "account_unknown": Refusal(400, "bad_request", "The sandbox has no such account."),
    }
    token_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": _BAD_CODE,
        "two_authentications": _BAD_CLIENT,
        "client_missing": Refusal(404, "not_found", "Not Found"),
        "client_unknown": Refusal(404, "not_found", "Not Found"),
        "client_secret_wrong": _BAD_CLIENT,
        "client_secret_missing": _BAD_CLIENT,
        "code_unknown": _BAD_CODE,
        "code_used": _BAD_CODE,
        "code_expired": _BAD_CODE,
        "redirect_uri_differs": Refusal(
            200, "redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL."
        ),
        "verifier_missing": _BAD_CODE,
        "verifier_wrong": _BAD_CODE,
        "verifier_unexpected": _BAD_CODE,
        "refresh_token_unknown": _BAD_REFRESH,
        "refresh_token_revoked": _BAD_REFRESH,
        "scope_exceeds_grant": Refusal(200, "invalid_scope", "The scope is not part of the grant."),
        "grant_type_unsupported": Refusal(200, "unsupported_grant_type", "The grant_type is not supported."),
        "rate_limited": Refusal(429, "rate_limited", "You have exceeded a secondary rate limit."),
        "server_error": Refusal(503, "server_error", "The service is unavailable."),
    }

    def __init__(self, base_url: str, expires_in: Callable[[], int | None]) -> None:
        super().__init__(base_url)
        self._expires_in = expires_in

    def requested_scopes(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        """Scopes that a wider one includes are left out, as GitHub's answers leave them out."""
        scopes = split_scopes(fields.get("scope", ""), separators=",")
        implied = set().union(*(_IMPLIED.get(s, set()) for s in scopes))
        return tuple(s for s in scopes if s not in implied)

    def gives_refresh_token(self, fields: Mapping[str, str], scopes: tuple[str, ...], *, first_consent: bool) -> bool:
        return self._expires_in() is not None

    def rotates_refresh_tokens(self, grant: Grant) -> bool:
        return True

    def check_api_request(self, request: Request) -> None:
        if not request.headers.get("user-agent", "").strip():
            raise ApiRefused("user_agent_missing")

    async def token_form(self, request: Request) -> dict[str, str]:
        if parameters.media_type(request) != "application/json":
            return await parameters.form(request)
        fields = await parameters.json_object(request)
        if not all(isinstance(value, str) for value in fields.values()):
            raise MalformedRequest("Every parameter must be a string.")
        return fields

    def token_answer(self, request: Request, answer: TokenAnswer) -> Response:
        fields: dict[str, object] = {"access_token": answer.access_token}
        if answer.expires_in is not None:
            fields["expires_in"] = answer.expires_in
        if answer.refresh_token is not None:
            fields |= {
                "refresh_token": answer.refresh_token,
                "refresh_token_expires_in": REFRESH_TOKEN_SECONDS,
            }
        fields |= {"scope": ",".join(answer.scopes), "token_type": "bearer"}
        return _in_wanted_form(request, fields, 200, NO_STORE)

    def token_refused(self, request: Request, refusal: TokenRefused) -> Response:
        words = self.token_refusals[refusal.reason]
        fields: dict[str, object] = {
            "error": words.error,
            "error_description": words.description.format(parameter=refusal.parameter),
            "error_uri": _ERRORS_EXPLAINED,
        }
        return _in_wanted_form(request, fields, words.status, {**NO_STORE, **refusal.headers})

    def api_refused(self, refusal: ApiRefused) -> Response:
        if refusal.reason == "user_agent_missing":
            sentence = (
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            )
            return PlainTextResponse(sentence, 403)
        status, message = _API_WORDS[refusal.reason]
        body = {"message": message or refusal.message, "documentation_url": _DOCUMENTATION, "status": str(status)}
        return Json(body, status, refusal.headers)


def _in_wanted_form(request: Request, fields: dict[str, object], status: int, headers: Mapping[str, str]) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return Json(fields, status, headers)
    return Response(urlencode(fields), status, headers, media_type="application/x-www-form-urlencoded")


_API_WORDS = {
    "token_missing": (401, "Requires authentication"),
    "authorization_malformed": (401, "Bad credentials"),
    "token_unknown": (401, "Bad credentials"),
    "token_expired": (401, "Bad credentials"),
    "scope_missing": (404, "Not Found"),
    "bad_request": (400, ""),
    "not_found": (404, "Not Found"),
    "rate_limited": (429, "You have exceeded a secondary rate limit. Please wait before you try again."),
    "server_error": (503, "Service unavailable"),
}
