"""Codes and tokens that were issued, and the rules for what becomes of them.

A grant is one consent: its code, and every access and refresh token that came of it. Refresh tokens that were
revoked or replaced are remembered, because providers answer for them differently than for unknown ones.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from keybearer_sandbox.oauth import pkce
from keybearer_sandbox.oauth.refusals import TokenRefused

CODE_SECONDS = 600
MAX_REMEMBERED = 20_000

_Issued = TypeVar("_Issued")


@dataclass(frozen=True)
class Grant:
    """What a person allowed: everything that each token of one consent has in common."""

    grant_id: str
    provider: str
    client_id: str
    account: str
    scopes: tuple[str, ...]
    offline: bool
    public: bool = False


@dataclass
class Code:
    value: str
    grant: Grant
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    expires_at: float
    auth_time: float | None = None
    used: bool = False


@dataclass
class AccessToken:
    value: str
    grant: Grant
    expires_at: float | None
    revoked: bool = False


@dataclass
class RefreshToken:
    value: str
    grant: Grant
    revoked: bool = False
    successor: str | None = None
    usable_until: float | None = None


class Tokens:
    def __init__(self, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._codes: dict[str, Code] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    def issue_code(
        self,
        grant: Grant,
        redirect_uri: str,
        challenge: str | None,
        nonce: str | None,
        *,
        auth_time: float | None = None,
    ) -> Code:
        expires_at = self._clock() + CODE_SECONDS
        code = Code(_secret("code"), grant, redirect_uri, challenge, nonce, expires_at, auth_time)
        _remember(self._codes, code.value, code)
        return code

    def redeem_code(self, form: dict[str, str], client_id: str, *, public: bool) -> Code:
        """The code that the form names, used up; raises TokenRefused. A second use ends the whole grant."""
        code = self._codes.get(form["code"])
        if code is None or code.grant.client_id != client_id:
            raise TokenRefused("code_unknown")
        if code.used:
            self.revoke_grant(code.grant.grant_id)
            raise TokenRefused("code_used")
        if self._clock() >= code.expires_at:
            raise TokenRefused("code_expired")
        if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise TokenRefused("redirect_uri_differs")
        _check_verifier(code, form.get("code_verifier"), public=public)
        code.used = True
        return code

    def issue_access_token(self, grant: Grant, expires_in: int | None) -> AccessToken:
        expires_at = None if expires_in is None else self._clock() + expires_in
        token = AccessToken(_secret("at"), grant, expires_at)
        _remember(self._access, token.value, token)
        self._changed()
        return token

    def issue_refresh_token(self, grant: Grant) -> RefreshToken:
        token = RefreshToken(_secret("rt"), grant)
        _remember(self._refresh, token.value, token)
        self._changed()
        return token

    def usable_refresh_token(self, value: str, client_id: str) -> RefreshToken:
        token = self._refresh.get(value)
        if token is None or token.grant.client_id != client_id:
            raise TokenRefused("refresh_token_unknown")
        replaced_too_long = token.usable_until is not None and self._clock() >= token.usable_until
        if token.revoked or replaced_too_long:
            raise TokenRefused("refresh_token_revoked")
        return token

    def rotate(self, token: RefreshToken, grace_seconds: float) -> RefreshToken:
        """The token's successor; one is made only once, so a repeated request in the grace time agrees."""
        known = self._refresh.get(token.successor or "")
        if known is not None:
            return known
        successor = self.issue_refresh_token(token.grant)
        token.successor = successor.value
        token.usable_until = self._clock() + grace_seconds
        self._changed()
        return successor

    def find_access_token(self, value: str) -> AccessToken | None:
        return self._access.get(value)

    def find_refresh_token(self, value: str) -> RefreshToken | None:
        return self._refresh.get(value)

    def is_expired(self, token: AccessToken) -> bool:
        return token.expires_at is not None and self._clock() >= token.expires_at

    def expire_access_tokens(self, provider: str) -> int:
        """Ends every access token of a provider now; how many were still good."""
        live = [t for t in self._access.values() if t.grant.provider == provider and not self.is_expired(t)]
        for token in live:
            token.expires_at = self._clock()
        self._changed()
        return len(live)

    def revoke_refresh_tokens(self, provider: str) -> int:
        live = [t for t in self._refresh.values() if t.grant.provider == provider and not t.revoked]
        self._revoke(live)
        return len(live)

    def revoke_grant(self, grant_id: str) -> None:
        self._revoke(t for t in self._all_tokens() if t.grant.grant_id == grant_id)

    def revoke_consent(self, grant: Grant) -> None:
        """Everything one person gave one client at one provider."""
        whose = (grant.provider, grant.client_id, grant.account)
        self._revoke(t for t in self._all_tokens() if (t.grant.provider, t.grant.client_id, t.grant.account) == whose)

    def revoke_access_token(self, token: AccessToken) -> None:
        self._revoke([token])

    def clear(self) -> None:
        self._codes.clear()
        self._access.clear()
        self._refresh.clear()
        self._changed()

    def snapshot(self) -> dict[str, Any]:
        return {
            "access": [asdict(t) for t in self._access.values() if not self.is_expired(t)],
            "refresh": [asdict(t) for t in self._refresh.values()],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        for item in saved["access"]:
            self._access[item["value"]] = AccessToken(**{**item, "grant": _grant(item["grant"])})
        for item in saved["refresh"]:
            self._refresh[item["value"]] = RefreshToken(**{**item, "grant": _grant(item["grant"])})

    def _all_tokens(self) -> list[AccessToken | RefreshToken]:
        return [*self._access.values(), *self._refresh.values()]

    def _revoke(self, tokens: Iterable[AccessToken | RefreshToken]) -> None:
        for token in tokens:
            token.revoked = True
        self._changed()


def new_grant_id() -> str:
    return secrets.token_hex(8)


def _check_verifier(code: Code, verifier: str | None, *, public: bool) -> None:
    if code.challenge is None:
        if public:
            raise TokenRefused("client_secret_missing")
        if verifier is not None:
            raise TokenRefused("verifier_unexpected")
        return
    if not verifier:
        raise TokenRefused("verifier_missing")
    if not pkce.matches(verifier, code.challenge):
        raise TokenRefused("verifier_wrong")


def _grant(saved: dict[str, Any]) -> Grant:
    return Grant(**{**saved, "scopes": tuple(saved["scopes"])})


def _secret(kind: str) -> str:
    return f"sbx_{kind}_{secrets.token_urlsafe(32)}"


def _remember(store: dict[str, _Issued], key: str, value: _Issued) -> None:
    store[key] = value
    while len(store) > MAX_REMEMBERED:
        del store[next(iter(store))]
