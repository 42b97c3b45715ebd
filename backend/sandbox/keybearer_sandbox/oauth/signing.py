"""Keys that id_tokens are signed with, and the key set that is published."""

import secrets
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey


class SigningKeys:
    """The active key, those before it, and a stranger: a key under the active id that is never published."""

    def __init__(self) -> None:
        self._keys = [_new_key()]
        self._stranger: RSAKey | None = None

    def sign(self, claims: dict[str, Any]) -> str:
        return _encode(claims, self._keys[0])

    def sign_badly(self, claims: dict[str, Any]) -> str:
        """A well-formed token with the active key's id whose signature does not verify."""
        if self._stranger is None:
            self._stranger = _new_key()
        return jwt.encode({"alg": "RS256", "kid": self._keys[0].kid}, claims, self._stranger)

    def rotate(self) -> None:
        self._keys.insert(0, _new_key())
        del self._keys[3:]

    def key_set(self) -> dict[str, Any]:
        return {"keys": [k.as_dict(private=False) for k in self._keys]}

    def snapshot(self) -> list[dict[str, Any]]:
        return [dict(k.as_dict(private=True)) for k in self._keys]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        if not saved:
            raise ValueError("at least one signing key is needed")
        self._keys = [RSAKey.import_key(k) for k in saved]


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"})


def _encode(claims: dict[str, Any], key: RSAKey) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
