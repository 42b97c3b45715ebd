"""Whatever is done to an archive's bytes is noticed, at the latest at its end."""

import io
import os

import pytest
from keybearer.backups import sealing
from keybearer.backups.errors import BackupError
from keybearer.backups.sealing import CHUNK_BYTES, Header, Sealer

KEK = os.urandom(32)
SEALED_CHUNK = CHUNK_BYTES + 16


def sealed(content: bytes, key_id: str = "k1", kek: bytes = KEK) -> bytes:
    file = io.BytesIO()
    sealer = Sealer(file, Header.new(key_id), kek)
    for start in range(0, len(content), 100_000):
        sealer.write(content[start : start + 100_000])
    sealer.finish()
    return file.getvalue()


def opened(archive: bytes, kek: bytes = KEK) -> bytes:
    file = io.BytesIO(archive)
    return b"".join(sealing.opened(file, Header.read(file), kek))


def header_length(archive: bytes) -> int:
    return len(Header.read(io.BytesIO(archive)).encoded)


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]
)
def test_what_was_sealed_is_opened(size: int) -> None:
    content = os.urandom(size)
    archive = sealed(content)
    assert opened(archive) == content
    assert size < CHUNK_BYTES - 1 or content[:32] not in archive  # a single byte is anywhere by chance


def test_two_archives_of_the_same_have_nothing_in_common() -> None:
    content = bytes(1000)
    first, second = sealed(content), sealed(content)
    start = header_length(first)
    assert first[start:] != second[start:]


@pytest.mark.parametrize("left", [0, 1, 15, 16, 17, SEALED_CHUNK - 1, SEALED_CHUNK, 2 * SEALED_CHUNK, -1])
def test_an_end_that_was_cut_off_is_noticed(left: int) -> None:
    archive = sealed(os.urandom(3 * CHUNK_BYTES))
    cut = archive[: header_length(archive) + left] if left >= 0 else archive[:-1]
    with pytest.raises(BackupError):
        opened(cut)


def test_anything_after_the_end_is_noticed() -> None:
    archive = sealed(os.urandom(CHUNK_BYTES))
    for more in (b"x", bytes(SEALED_CHUNK), archive[-SEALED_CHUNK:]):
        with pytest.raises(BackupError):
            opened(archive + more)


def chunks(archive: bytes) -> tuple[bytes, list[bytes]]:
    start = header_length(archive)
    return archive[:start], [archive[at : at + SEALED_CHUNK] for at in range(start, len(archive), SEALED_CHUNK)]


def test_chunks_open_in_their_own_place_alone() -> None:
    header, parts = chunks(sealed(os.urandom(4 * CHUNK_BYTES)))
    _, others = chunks(sealed(os.urandom(4 * CHUNK_BYTES)))
    a, b, c, d = parts
    for wrong in ([b, a, c, d], [a, c, d], [a, b, b, c, d], [a, b, d, c], [a, b, c, c], [others[0], b, c, d], [d]):
        with pytest.raises(BackupError):
            opened(header + b"".join(wrong))
    assert opened(header + b"".join(parts))


def test_every_byte_of_the_header_counts() -> None:
    archive = sealed(b"content")
    for place in range(header_length(archive)):
        changed = bytearray(archive)
        changed[place] ^= 1
        with pytest.raises(BackupError):
            opened(bytes(changed))


def test_another_key_of_the_same_name_is_said_to_be_possible() -> None:
    with pytest.raises(BackupError, match=r"key k1 of the keyring.*another one of the same name"):
        opened(sealed(b"content"), os.urandom(32))


@pytest.mark.parametrize("content", [b"", b"KB", b"-----BEGIN", bytes(100)])
def test_what_is_no_archive_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(BackupError, match="not an archive"):
        opened(content)


def test_a_later_format_is_named() -> None:
    archive = bytearray(sealed(b"content"))
    archive[8] = 2
    with pytest.raises(BackupError, match="format 2"):
        opened(bytes(archive))
