"""Reads one mapping of a provider's YAML strictly: the right kinds, known keys only, errors that help."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from keybearer.kit.errors import ConfigurationError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_T = TypeVar("_T")
_TEMPLATE = re.compile(r"\{([a-z_]+)\}")


class ProviderFileError(ConfigurationError):
    """A provider's YAML cannot be used. Names the file, the key and what to do; never a secret's value."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(f"{file}: {key}: {problem}" if key else f"{file}: {problem}")
        self.file = file
        self.key = key
        self.problem = problem


class Section:
    """A mapping being read. Every key that is asked for counts as known; `done()` refuses the others."""

    def __init__(self, values: Mapping[str, Any], file: str, key: str = "") -> None:
        self._values = values
        self._file = file
        self._key = key
        self._known: set[str] = set()

    def fail(self, key: str, problem: str) -> ProviderFileError:
        return ProviderFileError(self._file, self._path(key), problem)

    def names(self) -> tuple[str, ...]:
        """The keys that are there; for mappings whose keys the author chooses."""
        return tuple(str(key) for key in self._values)

    def done(self) -> None:
        unknown = sorted(str(key) for key in self._values if key not in self._known)
        if unknown:
            known = ", ".join(sorted(self._known))
            raise self.fail(unknown[0], f"unknown key; remove it or use one of: {known}")

    def take(self, key: str) -> Any:
        self._known.add(key)
        return self._values.get(key)

    def text(self, key: str) -> str | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, "write a text; put quotes around numbers, yes and no")
        return value

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self.fail(key, "missing; add it")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(key, "write true or false")
        return value

    def number(self, key: str) -> int | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fail(key, "write a whole number, 0 or more")
        return value

    def choice(self, key: str, allowed: tuple[_T, ...], default: _T) -> _T:
        value = self.take(key)
        if value is None:
            return default
        if value not in allowed:
            raise self.fail(key, f"write one of: {', '.join(str(one) for one in allowed)}")
        return allowed[allowed.index(value)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; a single text is a list of one."""
        value = self.take(key)
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(one, str) and one for one in items):
            raise self.fail(key, "write a list of texts")
        return tuple(items)

    def text_map(self, key: str) -> dict[str, str]:
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(
            isinstance(name, str) and isinstance(one, str) for name, one in value.items()
        ):
            raise self.fail(key, "write names with texts; put quotes around numbers, true and false")
        return value

    def section(self, key: str, read: Callable[["Section"], _T]) -> _T | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.fail(key, "write a mapping (keys with values, indented)")
        return self._read(value, key, read)

    def sections(self, key: str, read: Callable[["Section"], _T]) -> tuple[_T, ...]:
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.fail(key, "write a list of mappings")
        return tuple(self._read(one, f"{key}[{index}]", read) for index, one in enumerate(value))

    def url(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None and (problem := url_problem(value)):
            raise self.fail(key, problem)
        return value

    def _read(self, value: Mapping[str, Any], key: str, read: Callable[["Section"], _T]) -> _T:
        child = Section(value, self._file, self._path(key))
        answer = read(child)
        child.done()
        return answer

    def _path(self, key: str) -> str:
        return f"{self._key}.{key}" if self._key and key else self._key or key


def url_problem(url: str) -> str | None:
    """Why this is no address to send credentials to, or None. Unfilled `{templates}` count as filled."""
    plain = _TEMPLATE.sub("x", url)
    try:
        parts = urlsplit(plain)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not a URL; write it as https://host/path"
    if not host or not plain.isascii() or not plain.isprintable() or " " in plain:
        return "not a URL; write it as https://host/path"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "a URL here holds no user name, password or #fragment; remove it"
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        return None
    return "use https (http is accepted for 127.0.0.1, ::1 and localhost alone)"
