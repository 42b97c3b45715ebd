"""Checks an id_token: who signed it, for whom, when, and in answer to which sign-in (OpenID Connect Core 3.1.3.7)."""

import base64
import hashlib
import hmac
import re
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.registry import Header

from keybearer.providers.discovery import Discovery, Metadata
from keybearer.providers.errors import id_token_invalid
from keybearer.providers.model import Provider

# Nothing symmetric, nothing unsigned: such a token could be made by whoever knows what is public.
ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
LEEWAY_SECONDS = 60
_LONGEST = 64 * 1024
_LONGEST_SUBJECT = 255
_SHORTEST_RSA = 2048
_KEY_TYPES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_TENANT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class IdTokens:
    """`clock` is the time of day in seconds since 1970."""

    def __init__(self, discovery: Discovery, *, clock: Callable[[], float] = time.time) -> None:
        self._discovery = discovery
        self._clock = clock

    async def claims(
        self, provider: Provider, id_token: str, *, access_token: str | None = None, nonce: str | None = None
    ) -> Mapping[str, Any]:
        """The claims, checked. `nonce` None: the token answers no sign-in of ours.

        Raises IdentityInvalid, and Unavailable where keys are needed that cannot be had.
        """
        metadata = await self._discovery.metadata(provider)
        header = _header(provider, id_token)
        algorithm = _algorithm(provider, metadata, header)
        claims = await self._verified(provider, metadata, id_token, header, algorithm)
        self._check_claims(provider, metadata, claims)
        _check_parties(provider, claims)
        _check_nonce(provider, claims, nonce)
        _check_access_token(provider, claims, algorithm, access_token)
        return claims

    async def _verified(
        self, provider: Provider, metadata: Metadata, id_token: str, header: Header, algorithm: str
    ) -> dict[str, Any]:
        if metadata.jwks is None:
            raise id_token_invalid(provider, "no_keys")
        key_id = header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise id_token_invalid(provider, "malformed")
        keys = await self._discovery.keys(provider, metadata.jwks, key_id=key_id)
        key = _key(keys, key_id, algorithm)
        if key is None:
            raise id_token_invalid(provider, "unknown_key")
        # Headers that we do not know are ignored as RFC 7515 asks; `crit` is still obeyed.
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        try:
            with warnings.catch_warnings():
                # joserfc would rather see EdDSA called by its newer names; providers do not use them yet.
                warnings.simplefilter("ignore", SecurityWarning)
                return jwt.decode(id_token, key, registry=registry).claims
        except (JoseError, ValueError, RecursionError):
            raise id_token_invalid(provider, "bad_signature") from None

    def _check_claims(self, provider: Provider, metadata: Metadata, claims: dict[str, Any]) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": _issuer(provider, metadata, claims)},
            aud={"essential": True, "value": provider.client_id or ""},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            claim = getattr(error, "claim", None)
            known = claim in {"iss", "aud", "exp", "nbf", "iat", "sub"}
            raise id_token_invalid(provider, f"bad_{claim}" if known else "bad_claims") from None
        if not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:
            raise id_token_invalid(provider, "bad_sub")


def _header(provider: Provider, id_token: str) -> Header:
    """Not yet verified: it says only which key to try."""
    if len(id_token) > _LONGEST:
        raise id_token_invalid(provider, "too_long")
    try:
        return jws.extract_compact(id_token.encode("ascii")).headers()
    except (JoseError, ValueError, RecursionError):
        raise id_token_invalid(provider, "malformed") from None


def _algorithm(provider: Provider, metadata: Metadata, header: Header) -> str:
    supported = ALGORITHMS if metadata.algorithms is None else ALGORITHMS & metadata.algorithms
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in supported:
        raise id_token_invalid(provider, "algorithm_refused")
    return algorithm


def _key(keys: tuple[Mapping[str, object], ...], key_id: str | None, algorithm: str) -> jwk.Key | None:
    """The one key that the header can mean; without a `kid`, only where a single one suits the algorithm."""
    suitable = [key for key in keys if _suits(key, algorithm) and key_id in {None, key.get("kid")}]
    if len(suitable) != 1:
        return None
    try:
        return jwk.import_key(cast("dict[str, Any]", dict(suitable[0])))
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _suits(key: Mapping[str, object], algorithm: str) -> bool:
    if key.get("kty") != _KEY_TYPES[algorithm] or "d" in key:
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    if algorithm == "ES256":
        return key.get("crv") == "P-256"
    if algorithm == "EdDSA":
        return key.get("crv") == "Ed25519"
    modulus = key.get("n")
    return isinstance(modulus, str) and len(modulus) * 6 >= _SHORTEST_RSA


def _issuer(provider: Provider, metadata: Metadata, claims: Mapping[str, Any]) -> str:
    """The exact issuer to expect. With `issuer_by_tid`, its `{tenantid}` is the token's own tenant."""
    issuer = metadata.issuer
    if issuer is None:
        raise id_token_invalid(provider, "no_issuer")
    if "issuer_by_tid" in provider.quirks and "{tenantid}" in issuer:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _TENANT_ID.fullmatch(tenant):
            raise id_token_invalid(provider, "bad_tid")
        return issuer.replace("{tenantid}", tenant)
    return issuer


def _check_parties(provider: Provider, claims: Mapping[str, Any]) -> None:
    """A token for several audiences must say that it was issued to us."""
    party, audience = claims.get("azp"), claims["aud"]
    if party is None and isinstance(audience, list) and len(audience) > 1:
        raise id_token_invalid(provider, "bad_azp")
    if party is not None and party != provider.client_id:
        raise id_token_invalid(provider, "bad_azp")


def _check_nonce(provider: Provider, claims: Mapping[str, Any], nonce: str | None) -> None:
    if nonce is None:
        return
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="surrogatepass"), nonce.encode()):
        raise id_token_invalid(provider, "bad_nonce")


def _check_access_token(
    provider: Provider, claims: Mapping[str, Any], algorithm: str, access_token: str | None
) -> None:
    """`at_hash`, where it is there, ties the access token to this answer (OpenID Connect Core 3.1.3.6)."""
    given = claims.get("at_hash")
    if given is None or access_token is None:
        return
    digest = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode()):
        raise id_token_invalid(provider, "bad_at_hash")
