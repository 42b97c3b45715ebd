"""Codes as values: which steps a TOTP belongs to, how recovery codes are read, what strange bytes do to the parsers."""

import copy
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest
from factors.authenticator import Authenticator
from hypothesis import given
from hypothesis import strategies as st
from keybearer.factors import authenticators, model
from keybearer.factors.authenticators import Unusable
from keybearer.factors.model import Passkey, RecoveryCode
from keybearer.tenancy.model import Tenant

# RFC 6238 appendix B, SHA-1, cut to six digits.
RFC_SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]
TENANT = Tenant(uuid4(), "default", "Keybearer", "https://keybearer.example.com")


@pytest.mark.parametrize(("at", "code"), RFC_CODES)
def test_the_vectors_of_the_rfc(at: int, code: str) -> None:
    assert at // 30 in model.totp_steps(RFC_SEED, code, datetime.fromtimestamp(at, UTC))


@given(st.integers(0, 2**31), st.integers(-5, 5))
def test_a_code_belongs_to_its_step_and_is_taken_one_step_to_either_side(at: int, ahead: int) -> None:
    step = at // 30 + 5 + ahead
    steps = model.totp_steps(RFC_SEED, pyotp.TOTP(RFC_SEED).generate_otp(step), datetime.fromtimestamp(at + 150, UTC))
    assert (step in steps) is (abs(ahead) <= 1)


@given(st.text())
def test_any_text_is_a_code_or_none(text: str) -> None:
    now = datetime.now(UTC)
    assert model.totp_steps(RFC_SEED, text, now) == [] or len(text) == 6
    code = RecoveryCode.read(text)
    assert code is None or RecoveryCode.read(code.text) == code


@given(st.data())
def test_a_recovery_code_is_read_however_it_was_written_down(data: st.DataObject) -> None:
    code = RecoveryCode.new(set())
    written = "".join(
        data.draw(st.sampled_from([each, each.upper(), {"0": "o", "1": "L"}.get(each, each), each + " ", "-" + each]))
        for each in code.text
    )
    assert RecoveryCode.read(written) == code


def test_selectors_tell_the_codes_of_a_set_apart() -> None:
    selectors: set[str] = set()
    for _ in range(1000):
        code = RecoveryCode.new(selectors)
        assert code.selector not in selectors
        selectors.add(code.selector)


SIGNED_IN = [("rawId",), ("response", "clientDataJSON"), ("response", "authenticatorData"), ("response", "signature")]
ADDED = [("rawId",), ("response", "clientDataJSON"), ("response", "attestationObject")]
spoils = st.tuples(st.integers(0, 10_000), st.integers(1, 255), st.booleans())


@given(st.sampled_from(SIGNED_IN), spoils)
def test_a_changed_answer_signs_nobody_in(path: tuple[str, ...], spoil: tuple[int, int, bool]) -> None:
    authenticator, challenge, passkey = registered()
    answer = authenticator.get({"publicKey": authenticators.sign_in_options(TENANT, challenge=challenge)})
    assert authenticators.check_sign_in(TENANT, answer, challenge, passkey) == 1
    with pytest.raises(Unusable):
        authenticators.check_sign_in(TENANT, spoiled(answer, path, spoil), challenge, passkey)


@given(st.sampled_from(ADDED), spoils)
def test_a_changed_registration_is_refused_or_harmless(path: tuple[str, ...], spoil: tuple[int, int, bool]) -> None:
    """Nobody vouches for the key itself (attestation `none`): a changed one only fits no authenticator, and nothing of
    what the browser says counts but for what it is, whose it is and where.
    """
    challenge = b"c" * 32
    created = Authenticator(TENANT.origin).create({"publicKey": creation(challenge, uuid4())})
    changed = spoiled(created, path, spoil)
    try:
        authenticators.check_registration(TENANT, changed, challenge)
    except Unusable:
        return
    assert path != ("rawId",)
    assert meant(changed) == meant(created)


def meant(created: dict[str, Any]) -> list[str]:
    text = created["response"]["clientDataJSON"]
    said = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return [said[name] for name in ("type", "challenge", "origin")]


def registered() -> tuple[Authenticator, bytes, Passkey]:
    authenticator, challenge, user = Authenticator(TENANT.origin), b"c" * 32, uuid4()
    created = authenticator.create({"publicKey": creation(challenge, user)})
    kept = authenticators.check_registration(TENANT, created, challenge)
    return authenticator, challenge, Passkey(uuid4(), user, kept.credential_id, kept.public_key, kept.sign_count)


def creation(challenge: bytes, user: UUID) -> dict[str, Any]:
    return authenticators.registration_options(
        TENANT, challenge=challenge, user_id=user, account="a", name="A", existing=()
    )


def spoiled(credential: dict[str, Any], path: tuple[str, ...], spoil: tuple[int, int, bool]) -> dict[str, Any]:
    """With one byte changed, and perhaps cut off after it."""
    changed, (at, mask, cut) = copy.deepcopy(credential), spoil
    node = changed if len(path) == 1 else changed[path[0]]
    text = node[path[-1]]
    found = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    at %= len(found)
    found[at] ^= mask
    node[path[-1]] = urlsafe_b64encode(found[: at + 1] if cut else found).rstrip(b"=").decode()
    return changed


def test_the_relying_party_is_the_tenants_host_without_its_port() -> None:
    tenant = Tenant(uuid4(), "t", "T", "http://localhost:8080")
    assert authenticators.relying_party(tenant) == "localhost"
    assert authenticators.relying_party(TENANT) == "keybearer.example.com"
