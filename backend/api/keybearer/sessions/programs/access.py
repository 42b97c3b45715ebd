"""Access tokens: JWTs (RFC 9068) that anybody can verify with the published keys, and that end with their session.

They are signed with the signing keyring's primary key. A rotation publishes a key long before it becomes the primary,
and keeps the one before until nothing that it signed is alive. So the published keys are all whose private half is
here; a retired one stays as its public half, for the ledger alone.
"""

import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwk, jwt
from joserfc.errors import JoseError, SecurityWarning

from keybearer.identity.model import User
from keybearer.keys.signing import SigningKeyring
from keybearer.kit.errors import ConfigurationError
from keybearer.sessions.model import Claims
from keybearer.tenancy.model import Tenant

TYPE = "at+jwt"
JWKS_SECONDS = 600
_EDDSA, _HS256 = "EdDSA", "HS256"
_SHORTEST_KEY = 32
_LONGEST = 4096
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LEEWAY_SECONDS = 60  # between the clocks of two of our machines, for the time of issue alone


@dataclass(frozen=True, slots=True)
class SharedKey:
    """For consumers that know nothing but HS256: whoever can verify such a token can make one."""

    secret: bytes = field(repr=False)


def load_shared_key(path: Path) -> SharedKey:
    """Raises ConfigurationError for a key that is missing or short (decision D7)."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            f"KEYBEARER_ACCESS_TOKEN_KEY_FILE: {path} cannot be read ({type(error).__name__})."
        ) from error
    if len(secret) < _SHORTEST_KEY:
        raise ConfigurationError(
            f"KEYBEARER_ACCESS_TOKEN_KEY_FILE holds {len(secret)} bytes instead of {_SHORTEST_KEY} or more. Make it "
            "with `openssl rand -base64 48`."
        )
    return SharedKey(secret)


class AccessTokens:
    """`clock` is the time of day in seconds since 1970."""

    def __init__(
        self,
        signing: SigningKeyring,
        *,
        lifetime: timedelta,
        shared_key: SharedKey | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signing = signing
        self._lifetime = lifetime
        self._shared = jwk.OctKey.import_key(shared_key.secret) if shared_key else None
        self._clock = clock
        self._revision = ""
        self._imported: dict[str, jwk.OKPKey] = {}

    @property
    def algorithm(self) -> str:
        return _HS256 if self._shared else _EDDSA

    def issue(self, tenant: Tenant, user: User, session_id: UUID, session_ends: datetime) -> tuple[str, int]:
        """The token, and the seconds that it lives."""
        now = int(self._clock())
        expires = min(now + int(self._lifetime.total_seconds()), int(session_ends.timestamp()))
        claims = {
            "iss": tenant.origin,
            "aud": tenant.origin,
            "sub": str(user.id),
            "iat": now,
            "exp": expires,
            "jti": str(uuid4()),
            "sid": str(session_id),
            "tid": str(tenant.id),
            "email": user.email,
            "roles": [user.role],
        }
        header = {"alg": self.algorithm, "typ": TYPE}
        if self._shared is None:
            header["kid"] = self._signing.primary
        with _without_advice():
            key = self._shared or self._keys()[self._signing.primary]
            return jwt.encode(header, claims, key, algorithms=[self.algorithm]), expires - now

    def read(self, tenant: Tenant, token: str) -> Claims | None:
        """What it claims; None for a token that is not ours, not for this tenant, of another algorithm, or over."""
        claims = self.verified(token)
        now = self._clock()
        if claims is None or claims.get("iss") != tenant.origin or claims.get("aud") != tenant.origin:
            return None
        try:
            found = _claims(claims)
            issued = float(claims["iat"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        if found.tenant_id != tenant.id or found.expires_at.timestamp() <= now or issued > now + _LEEWAY_SECONDS:
            return None
        return found

    def verified(self, token: str) -> Mapping[str, Any] | None:
        """All that it says, where the signature is ours; whether that still counts is another question."""
        if len(token) > _LONGEST or not _FORM.fullmatch(token):
            return None
        keys = self._shared or jwk.KeySet(list(self._keys().values()))
        try:
            with _without_advice():
                decoded = jwt.decode(token, keys, algorithms=[self.algorithm])
        except (JoseError, ValueError):
            return None
        return decoded.claims if decoded.header.get("typ") == TYPE else None

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys (RFC 7517). A shared key is nobody else's."""
        if self._shared is not None:
            return {"keys": []}
        return {"keys": [dict(key.as_dict(private=False)) for key in self._keys().values()]}

    def _keys(self) -> dict[str, jwk.OKPKey]:
        """Imported once for each state of the keyring."""
        if self._revision != self._signing.revision:
            self._imported = {
                key_id: jwk.OKPKey.import_key(key, {"kid": key_id, "use": "sig", "alg": _EDDSA})
                for key_id, key in sorted(self._signing.private.items())
            }
            self._revision = self._signing.revision
        return self._imported


def looks_like_one(token: str) -> bool:
    return token.count(".") == 2


def _claims(claims: Mapping[str, Any]) -> Claims:
    return Claims(
        tenant_id=UUID(claims["tid"]),
        user_id=UUID(claims["sub"]),
        session_id=UUID(claims["sid"]),
        expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
    )


@contextmanager
def _without_advice() -> Iterator[None]:
    """The library would have us name the curve, as RFC 9864 does since 2025; consumers know `EdDSA`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield
