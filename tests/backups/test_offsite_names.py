"""What an object in the bucket is called, and which objects are a file's newest whole state."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.backups.errors import BackupError
from keybearer.backups.offsite import pieces
from keybearer.backups.offsite.bucket import Address
from keybearer.backups.offsite.pieces import Piece
from keybearer.backups.offsite.stored import Stored


@pytest.mark.parametrize("url", ["backups", "s3://", "s3://Upper", "https://backups/kb", "s3://b", "s3://backups/a b"])
def test_what_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(BackupError, match=r"names no bucket\. Write it as s3://bucket"):
        Address.parse(url)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "a//b", "./x"])
def test_no_name_leads_out_of_the_folder(path: str) -> None:
    assert pieces.parse(Piece(path, pieces.written_at(0), 1, 1, "k1").name) is None


@given(st.integers(0, 4102444800 * 10**9), st.integers(1, 99), st.sampled_from(["k1", "2026.11_a-b", "1of1"]))
def test_a_name_says_all_of_its_piece(nanoseconds: int, number: int, key_id: str) -> None:
    piece = Piece("wal/a.gz", pieces.written_at(nanoseconds), number, 99, key_id)
    assert pieces.parse(piece.name) == piece
    assert pieces.nanoseconds(piece.written) == nanoseconds


@given(st.lists(st.integers(0, 4102444800 * 10**9), min_size=2))
def test_names_are_in_the_order_of_time(times: list[int]) -> None:
    assert sorted(pieces.written_at(time) for time in times) == [pieces.written_at(time) for time in sorted(times)]


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_only_all_pieces_of_one_state_are_whole(count: int, random: random.Random) -> None:
    old, new = (
        [Piece("base.gz", pieces.written_at(time), number, count, "k1") for number in range(1, count + 1)]
        for time in (1, 2)
    )
    missing = random.choice(new)
    found = [*old, *(piece for piece in new if piece != missing), replace(random.choice(old), key_id="k0")]
    random.shuffle(found)

    stored = Stored(found)
    state = stored.newest("base.gz")
    assert state is not None
    assert [(piece.written, piece.number) for piece in state] == [(piece.written, piece.number) for piece in old]
    stored.add(missing)
    assert stored.newest("base.gz") == new
    stored.discard(missing)
    for piece in found:
        stored.discard(piece)
    assert stored.paths() == []
