"""Fake Spotify: authorization code with PKCE or a secret, in Spotify's own words."""

from collections.abc import Mapping
from typing import ClassVar

from starlette.responses import Response

from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth.provider import Provider, Refusal, split_scopes
from keybearer_sandbox.oauth.refusals import ApiRefused, AuthorizationRefused
from keybearer_sandbox.oauth.tokens import Grant

SCOPES = frozenset(
    {
        "app-remote-control",
        "playlist-modify-private",
        "playlist-modify-public",
        "playlist-read-collaborative",
        "playlist-read-private",
        "streaming",
        "ugc-image-upload",
        "user-follow-modify",
        "user-follow-read",
        "user-library-modify",
        "user-library-read",
        "user-modify-playback-state",
        "user-read-currently-playing",
        "user-read-email",
        "user-read-playback-position",
        "user-read-playback-state",
        "user-read-private",
        "user-read-recently-played",
        "user-top-read",
    }
)


class Spotify(Provider):
    name = "spotify"
    title = "Spotify"
    authorization_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "INVALID_REQUEST", "{parameter}"),
        "parameter_missing": Refusal(400, "INVALID_REQUEST", "Missing required parameter: {parameter}"),
        "client_unknown": Refusal(400, "INVALID_CLIENT", "Invalid client"),
        "redirect_uri_unknown": Refusal(400, "INVALID_CLIENT", "Invalid redirect URI"),
        "response_type_unsupported": Refusal(400, "INVALID_REQUEST", "response_type must be code"),
        "scope_invalid": Refusal(400, "INVALID_SCOPE", "Invalid scope"),
        "challenge_method_unsupported": Refusal(400, "INVALID_REQUEST", "code_challenge_method must be S256"),
        "challenge_malformed": Refusal(400, "INVALID_REQUEST", "code_challenge must be a SHA256 hash"),
        "account_unknown": Refusal(400, "INVALID_REQUEST", "The sandbox has no such account."),
    }
    token_refusals: ClassVar[Mapping[str, Refusal]] = {
        "malformed": Refusal(400, "invalid_request", "{parameter}"),
        "parameter_missing": Refusal(400, "invalid_request", "{parameter} must be supplied"),
        "two_authentications": Refusal(400, "invalid_request", "Only one client authentication may be used"),
        "client_missing": Refusal(400, "invalid_client", ""),
        "client_unknown": Refusal(400, "invalid_client", "Invalid client"),
        "client_secret_wrong": Refusal(400, "invalid_client", "Invalid client secret"),
        "client_secret_missing": Refusal(400, "invalid_client", ""),
        "code_unknown": Refusal(400, "invalid_grant", "Invalid authorization code"),
        "code_used": Refusal(400, "invalid_grant", "Invalid authorization code"),
        "code_expired": Refusal(400, "invalid_grant", "Authorization code expired"),
        "redirect_uri_differs": Refusal(400, "invalid_grant", "Invalid redirect URI"),
        "verifier_missing": Refusal(400, "invalid_request", "code_verifier must be supplied"),
        "verifier_wrong": Refusal(400, "invalid_grant", "code_verifier was incorrect"),
        "verifier_unexpected": Refusal(400, "invalid_grant", "code_verifier was incorrect"),
        "refresh_token_unknown": Refusal(400, "invalid_grant", "Invalid refresh token"),
        "refresh_token_revoked": Refusal(400, "invalid_grant", "Refresh token revoked"),
        "scope_exceeds_grant": Refusal(400, "invalid_scope", "Invalid scope"),
        "grant_type_unsupported": Refusal(
            400,
            "unsupported_grant_type",
            "grant_type must be client_credentials, authorization_code or refresh_token",
        ),
        "rate_limited": Refusal(429, "rate_limited", "API rate limit exceeded"),
        "server_error": Refusal(503, "server_error", "Service unavailable"),
    }

    def requested_scopes(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        if not fields.get("response_type"):
            raise AuthorizationRefused("parameter_missing", "response_type")
        if fields["response_type"] != "code":
            raise AuthorizationRefused("response_type_unsupported")
        scopes = split_scopes(fields.get("scope", ""))
        if not set(scopes) <= SCOPES:
            raise AuthorizationRefused("scope_invalid")
        return scopes

    def gives_refresh_token(self, fields: Mapping[str, str], scopes: tuple[str, ...], *, first_consent: bool) -> bool:
        return True

    def rotates_refresh_tokens(self, grant: Grant) -> bool:
        """Spotify rotates for clients that hold no secret, and for no others."""
        return grant.public

    def api_refused(self, refusal: ApiRefused) -> Response:
        status, message = _API_WORDS[refusal.reason]
        error: dict[str, object] = {"status": status, "message": message or refusal.message}
        headers = dict(refusal.headers)
        if status == 401:
            headers["WWW-Authenticate"] = (
                f'Bearer realm="spotify", error="invalid_token", error_description="{message}"'
            )
        if refusal.reason == "no_active_device":
            error["reason"] = "NO_ACTIVE_DEVICE"
        return Json({"error": error}, status, headers)


_API_WORDS = {
    "token_missing": (401, "No token provided"),
    "authorization_malformed": (400, "Only valid bearer authentication supported"),
    "token_unknown": (401, "Invalid access token"),
    "token_expired": (401, "The access token expired"),
    "scope_missing": (403, "Insufficient client scope"),
    "bad_request": (400, ""),
    "not_found": (404, "Service not found"),
    "no_active_device": (404, "Player command failed: No active device found"),
    "device_not_found": (404, "Device not found"),
    "rate_limited": (429, "API rate limit exceeded"),
    "server_error": (503, "Service unavailable"),
}
