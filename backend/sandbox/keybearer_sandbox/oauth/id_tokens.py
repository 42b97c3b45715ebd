"""Makes id_tokens (OpenID Connect Core section 2), and spoils them where a fault says so."""

import base64
import hashlib
import secrets

from keybearer_sandbox.accounts import Account
from keybearer_sandbox.oauth.provider import Provider
from keybearer_sandbox.oauth.tokens import AccessToken, Code
from keybearer_sandbox.sandbox import Sandbox

LIFETIME_SECONDS = 3600
OLD_SECONDS = 24 * 3600


def issue(
    sandbox: Sandbox,
    provider: Provider,
    account: Account,
    access: AccessToken,
    *,
    operation: str,
    code: Code | None = None,
) -> str | None:
    """A signed id_token, or None where the granted scopes ask for none. `code` is what it answers, if one."""
    identity = provider.identity_claims(account, access.grant.scopes)
    if identity is None:
        return None
    now = int(sandbox.clock())
    claims = {
        "iss": provider.issuer,
        "aud": access.grant.client_id,
        "azp": access.grant.client_id,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "at_hash": _half_hash(access.value),
        **identity,
    }
    if code is not None and code.nonce is not None:
        claims["nonce"] = code.nonce
    if code is not None and code.auth_time is not None:
        claims["auth_time"] = int(code.auth_time)
        if sandbox.faults.take(provider.name, "old_auth_time", operation):
            claims["auth_time"] -= OLD_SECONDS
    if sandbox.faults.take(provider.name, "wrong_nonce", operation):
        claims["nonce"] = secrets.token_urlsafe(16)
    if sandbox.faults.take(provider.name, "wrong_issuer", operation):
        claims["iss"] = "https://issuer.invalid"
    if sandbox.faults.take(provider.name, "bad_signature", operation):
        return sandbox.keys.sign_badly(claims)
    return sandbox.keys.sign(claims)


def _half_hash(value: str) -> str:
    digest = hashlib.sha256(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii")
