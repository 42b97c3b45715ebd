"""The envelope: only what was sealed, where it was sealed, under the key that sealed it, opens."""

import dataclasses
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.keys import envelope
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.errors import EnvelopeError

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
OWNER = Owner(UUID(int=1), "user", UUID(int=2))
PLACE = Place("connections", str(UUID(int=3)), "access_token")
DEK = UUID(int=4)
ADDITIONAL = envelope.field_additional(OWNER, PLACE, DEK)


@given(plaintext=st.binary(max_size=500))
def test_what_is_sealed_opens(plaintext: bytes) -> None:
    sealed = envelope.seal(KEY, "k1", plaintext, ADDITIONAL)
    assert envelope.open_sealed(KEY, "k1", sealed, ADDITIONAL) == plaintext


@given(plaintext=st.binary(min_size=1, max_size=60), data=st.data())
def test_any_flipped_bit_fails_closed(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(envelope.seal(KEY, "k1", plaintext, ADDITIONAL))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(EnvelopeError):
        envelope.open_sealed(KEY, "k1", bytes(sealed), ADDITIONAL)


@given(data=st.data())
def test_any_truncation_or_extension_fails_closed(data: st.DataObject) -> None:
    sealed = envelope.seal(KEY, "k1", b"a token", ADDITIONAL)
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for changed in (sealed[:cut], sealed + b"\0", b""):
        with pytest.raises(EnvelopeError):
            envelope.open_sealed(KEY, "k1", changed, ADDITIONAL)


@pytest.mark.parametrize(
    "elsewhere",
    [
        (dataclasses.replace(OWNER, tenant_id=uuid4()), PLACE, DEK),
        (dataclasses.replace(OWNER, id=uuid4()), PLACE, DEK),
        (dataclasses.replace(OWNER, kind="tenant"), PLACE, DEK),
        (OWNER, dataclasses.replace(PLACE, row_id=str(uuid4())), DEK),
        (OWNER, dataclasses.replace(PLACE, column="refresh_token"), DEK),
        (OWNER, dataclasses.replace(PLACE, table="flows"), DEK),
        (OWNER, PLACE, uuid4()),
    ],
    ids=["tenant", "owner", "owner kind", "row", "column", "table", "data key"],
)
def test_a_ciphertext_moved_elsewhere_does_not_open(elsewhere: tuple[Owner, Place, UUID]) -> None:
    sealed = envelope.seal(KEY, "k1", b"a token", ADDITIONAL)
    with pytest.raises(EnvelopeError):
        envelope.open_sealed(KEY, "k1", sealed, envelope.field_additional(*elsewhere))


@pytest.mark.parametrize(("key", "key_id"), [(OTHER_KEY, "k1"), (KEY, "k2"), (KEY, "k11"), (KEY, "")])
def test_another_key_or_key_id_does_not_open(key: bytes, key_id: str) -> None:
    sealed = envelope.seal(KEY, "k1", b"a token", ADDITIONAL)
    with pytest.raises(EnvelopeError):
        envelope.open_sealed(key, key_id, sealed, ADDITIONAL)


@given(
    left=st.lists(st.text(max_size=8), min_size=3, max_size=3),
    right=st.lists(st.text(max_size=8), min_size=3, max_size=3),
)
def test_different_places_never_give_the_same_additional_data(left: list[str], right: list[str]) -> None:
    same = envelope.field_additional(OWNER, Place(*left), DEK) == envelope.field_additional(OWNER, Place(*right), DEK)
    assert same == (left == right)


def test_equal_plaintexts_give_different_ciphertexts() -> None:
    assert envelope.seal(KEY, "k1", b"same", ADDITIONAL) != envelope.seal(KEY, "k1", b"same", ADDITIONAL)
