"""People as a file has them: CSV with a first line of names, or a JSON object in each line."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from keybearer.kit.errors import ConfigurationError
from keybearer.signin.accounts.operating import Brought

FIELDS = ("email", "name", "role", "email_verified", "password_hash")
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no", ""}


def read(path: Path) -> Iterator[tuple[int, Brought]]:
    """Each with the number of its line. Raises ConfigurationError, which names the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in _json_rows(file) if _is_json(path) else _csv_rows(file):
                yield line, _person(line, row)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__}).") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8. Save it as UTF-8, then try again.") from error


def write(people: Iterable[Brought], to: TextIO, *, as_json: bool) -> None:
    rows = (
        {
            "email": each.email,
            "name": each.name,
            "role": each.role,
            "email_verified": each.verified,
            "password_hash": each.password_hash,
        }
        for each in people
    )
    if as_json:
        to.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    table = csv.DictWriter(to, FIELDS, lineterminator="\n")
    table.writeheader()
    table.writerows({**row, "email_verified": str(row["email_verified"]).lower()} for row in rows)


def _is_json(path: Path) -> bool:
    return path.suffix in {".json", ".jsonl", ".ndjson"}


def _json_rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"line {line}: this is no JSON ({error.msg}).") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"line {line}: write one JSON object in each line.")
        yield line, row


def _csv_rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = csv.DictReader(file, strict=True)
    try:
        if "email" not in (table.fieldnames or ()):
            raise ConfigurationError(f"line 1: name the columns here, of which email is needed: {', '.join(FIELDS)}.")
        for row in table:
            if None in row or None in row.values():
                raise ConfigurationError(f"line {table.line_num}: it has more or fewer columns than line 1.")
            yield table.line_num, row
    except csv.Error as error:
        raise ConfigurationError(f"line {table.line_num}: this is no CSV ({error}).") from error


def _person(line: int, row: Mapping[str, Any]) -> Brought:
    """What is empty is as if it were not there."""
    if unknown := sorted(row.keys() - set(FIELDS)):
        raise ConfigurationError(f"line {line}: {unknown[0]!r} is none of {', '.join(FIELDS)}.")
    email = str(row.get("email") or "").strip()
    return Brought(
        email=email,
        name=str(row.get("name") or "").strip() or email.partition("@")[0],
        role=str(row.get("role") or "member").strip(),
        verified=_flag(line, row.get("email_verified")),
        password_hash=str(row.get("password_hash") or "").strip() or None,
    )


def _flag(line: int, value: object) -> bool:
    text = str(value if value is not None else "").strip().lower()
    if text not in _TRUE | _FALSE:
        raise ConfigurationError(f"line {line}: email_verified is {text!r}; write true or false.")
    return text in _TRUE
