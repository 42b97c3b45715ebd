"""Proof key for code exchange, S256 alone (RFC 7636)."""

import base64
import hashlib
import hmac
import re

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


def is_challenge(value: str) -> bool:
    return _CHALLENGE.match(value) is not None


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def matches(verifier: str, challenge: str) -> bool:
    return _VERIFIER.match(verifier) is not None and hmac.compare_digest(challenge_of(verifier), challenge)
