"""What is said to authenticators, and what of their answers is believed (WebAuthn level 3).

The library is loaded at first use: it brings a certificate store that a starting process has no need of.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from keybearer.factors.model import CHALLENGE_LIFETIME, Passkey
from keybearer.tenancy.model import Tenant

_TIMEOUT = int(CHALLENGE_LIFETIME.total_seconds() * 1000)
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})
_LONGEST_CREDENTIAL_ID = 1023


class Unusable(Exception):
    """The answer does not prove what it should. Why is for nobody but whoever debugs an authenticator."""


@dataclass(frozen=True, slots=True)
class Registered:
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


def relying_party(tenant: Tenant) -> str:
    """The name that passkeys are bound to: the tenant's own host, never one that a request names."""
    return urlsplit(tenant.origin).hostname or ""


def registration_options(
    tenant: Tenant, *, challenge: bytes, user_id: UUID, account: str, name: str, existing: Sequence[bytes]
) -> dict[str, Any]:
    """For `navigator.credentials.create({publicKey})`: one that the authenticator keeps, and checks the person for."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import structs

    options = generate_registration_options(
        rp_id=relying_party(tenant),
        rp_name=tenant.name,
        user_id=user_id.bytes,
        user_name=account,
        user_display_name=name,
        challenge=challenge,
        timeout=_TIMEOUT,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=each) for each in existing],
    )
    return dict(json.loads(options_to_json(options)))


def sign_in_options(tenant: Tenant, *, challenge: bytes) -> dict[str, Any]:
    """For `navigator.credentials.get({publicKey})`: no credential is named, so that nobody is."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=relying_party(tenant),
        challenge=challenge,
        timeout=_TIMEOUT,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def challenge_of(credential: Mapping[str, Any]) -> bytes:
    """The challenge that an answer says it is for. Raises Unusable."""
    from webauthn import base64url_to_bytes
    from webauthn.helpers import parse_client_data_json

    with _understood():
        return parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).challenge


def credential_id_of(credential: Mapping[str, Any]) -> bytes:
    """Raises Unusable."""
    from webauthn import base64url_to_bytes

    with _understood():
        return base64url_to_bytes(credential["rawId"])


def check_registration(tenant: Tenant, credential: Mapping[str, Any], challenge: bytes) -> Registered:
    """Raises Unusable."""
    from webauthn import verify_registration_response

    with _understood():
        verified = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=relying_party(tenant),
            expected_origin=tenant.origin,
            require_user_verification=True,
        )
        offered = credential["response"].get("transports") or ()
        transports = tuple(sorted(_TRANSPORTS.intersection(offered)))
    if len(verified.credential_id) > _LONGEST_CREDENTIAL_ID:
        raise Unusable
    return Registered(verified.credential_id, verified.credential_public_key, verified.sign_count, transports)


def check_sign_in(tenant: Tenant, credential: Mapping[str, Any], challenge: bytes, passkey: Passkey) -> int:
    """The authenticator's new counter. One that has not grown may be a copy's. Raises Unusable."""
    from webauthn import base64url_to_bytes, verify_authentication_response

    with _understood():
        verified = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=relying_party(tenant),
            expected_origin=tenant.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        handle = credential["response"].get("userHandle")
        if handle is not None and base64url_to_bytes(handle) != passkey.user_id.bytes:
            raise Unusable
    return verified.new_sign_count


@contextmanager
def _understood() -> Iterator[None]:
    """Whatever a stranger's bytes make of the parsers is one thing to us."""
    try:
        yield
    except Unusable:
        raise
    except Exception as error:
        raise Unusable from error
