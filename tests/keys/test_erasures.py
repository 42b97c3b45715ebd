"""The log of erasures: on the disk before, complete afterwards, and never silently short."""

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from keybearer.keys import erasures
from keybearer.keys.erasures import Erasure, ErasureLog
from keybearer.kit.errors import ConfigurationError

TENANT = UUID("00000000-0000-7000-8000-000000000001")


def erasure(minute: int = 0) -> Erasure:
    return Erasure(TENANT, uuid4(), datetime(2026, 11, 23, 9, minute, tzinfo=UTC), era=1, xid=2**40 + minute)


def test_what_was_written_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    first, second, third = erasure(1), erasure(2), erasure(3)
    one, other = ErasureLog(tmp_path), ErasureLog(tmp_path)
    one.append(third)
    other.append(first)
    one.append(second)
    one.append(second)
    assert erasures.read(tmp_path) == [first, second, third]
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_nobody_was_erased(tmp_path: Path) -> None:
    assert erasures.read(tmp_path) == []


def test_half_a_line_at_the_end_is_no_erasure(tmp_path: Path) -> None:
    kept = erasure()
    ErasureLog(tmp_path).append(kept)
    with next(tmp_path.iterdir()).open("a") as file:
        file.write('{"tenant": "0000')
    assert erasures.read(tmp_path) == [kept]


@pytest.mark.parametrize("line", ["", "{}", "null", '{"tenant": "x", "user": "y"}', '{"tenant'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    log = ErasureLog(tmp_path)
    log.append(erasure())
    path = next(tmp_path.iterdir())
    path.write_text(f"{path.read_text()}{line}\n{path.read_text()}")
    with pytest.raises(ConfigurationError, match=rf"line 2 of {path} is damaged"):
        erasures.read(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    for use in (ErasureLog(tmp_path / "absent").check, lambda: erasures.read(tmp_path / "absent")):
        with pytest.raises(ConfigurationError, match="KEYBEARER_ERASURE_LOG_DIR"):
            use()
    ErasureLog(tmp_path).check()


def test_after_a_failure_a_new_file_is_begun(tmp_path: Path, monkeypatch) -> None:
    """The disk was full in the middle of a line."""
    log, kept, lost, later = ErasureLog(tmp_path), erasure(1), erasure(2), erasure(3)
    log.append(kept)
    with monkeypatch.context() as patched:
        write = os.write
        patched.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:20]))
        with pytest.raises(OSError, match="only a part"):
            log.append(lost)
    log.append(later)
    assert erasures.read(tmp_path) == [kept, later]
    assert len(list(tmp_path.iterdir())) == 2
