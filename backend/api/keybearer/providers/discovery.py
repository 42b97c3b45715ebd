"""OpenID Connect discovery documents and key sets: fetched once an hour, and kept in use while a provider is away.

A document that cannot be fetched again is served for up to seven days. Whoever comes while another fetches it is
served the old one, or waits for the same answer; nobody fetches twice.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import structlog

from keybearer.kit.outbound import Answer, NotAnswered, Outbound
from keybearer.providers.document import url_problem
from keybearer.providers.errors import provider_unavailable
from keybearer.providers.model import Provider

log = structlog.get_logger(__name__)

T = TypeVar("T")
Keys = tuple[Mapping[str, object], ...]

_FRESH_SECONDS = 3600.0
_STALE_SECONDS = 7 * 86_400.0
_RETRY_SECONDS = 30.0
_FIRST_RETRY_SECONDS = 2.0
_FETCH_SECONDS = 5.0
_MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider's endpoints are: the catalogue's own, and what discovery says for the rest."""

    issuer: str | None
    authorize: str | None
    token: str | None
    userinfo: str | None
    jwks: str | None
    revoke: str | None = None
    algorithms: frozenset[str] | None = None


class Discovery:
    """Raises Unavailable (`provider_unavailable`) when a document is needed, and none that may be used is there."""

    def __init__(self, outbound: Outbound, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._monotonic = monotonic
        self._metadata: dict[tuple[str, str], _Kept[Metadata]] = {}
        self._keys: dict[tuple[str, str], _Kept[Keys]] = {}

    async def metadata(self, provider: Provider) -> Metadata:
        explicit = provider.endpoints
        if provider.discovery is None:
            return Metadata(
                issuer=provider.issuer,
                authorize=explicit.authorize,
                token=explicit.token,
                userinfo=explicit.userinfo,
                jwks=explicit.jwks,
            )
        found = await self._get(
            self._metadata, provider, provider.discovery, lambda document: _read_metadata(provider, document)
        )
        return replace(
            found,
            authorize=explicit.authorize or found.authorize,
            token=explicit.token or found.token,
            userinfo=explicit.userinfo or found.userinfo,
            jwks=explicit.jwks or found.jwks,
        )

    async def keys(self, provider: Provider, url: str, *, key_id: str | None = None) -> Keys:
        """The key set. One that lacks `key_id` is fetched anew, at most every 30 s: keys rotate, and callers lie."""
        keys = await self._get(self._keys, provider, url, _read_keys)
        if key_id is None or any(key.get("kid") == key_id for key in keys):
            return keys
        return await self._get(self._keys, provider, url, _read_keys, newer=True)

    async def _get(
        self,
        kept: "dict[tuple[str, str], _Kept[T]]",
        provider: Provider,
        url: str,
        read: Callable[[Mapping[str, object]], T],
        *,
        newer: bool = False,
    ) -> T:
        entry = kept.setdefault((provider.name, url), _Kept())
        if not entry.wants_fetch(self._monotonic(), newer=newer):
            return self._usable(entry, provider)
        if entry.lock.locked() and entry.usable(self._monotonic()) and not newer:
            return self._usable(entry, provider)
        async with entry.lock:
            if entry.wants_fetch(self._monotonic(), newer=newer):
                await self._fetch(entry, provider, url, read)
                entry.forced_at = entry.tried_at if newer else entry.forced_at
        return self._usable(entry, provider)

    async def _fetch(
        self, entry: "_Kept[T]", provider: Provider, url: str, read: Callable[[Mapping[str, object]], T]
    ) -> None:
        """Notes the attempt once it has ended: of one that its caller broke off, nothing is known."""
        began = self._monotonic()
        try:
            answer = await self._outbound.fetch("GET", url, seconds=_FETCH_SECONDS)
            entry.value = read(_members(answer))
        except NotAnswered as failure:
            log.warning("providers.discovery.failed", provider=provider.name, reason=failure.reason)
        except ValueError as error:
            # The reasons are our own fixed words: nothing of the answer is in them.
            log.warning("providers.discovery.failed", provider=provider.name, reason=str(error))
        else:
            entry.fetched_at = began
        entry.tried_at = began

    def _usable(self, entry: "_Kept[T]", provider: Provider) -> T:
        value = entry.value
        if value is None or not entry.usable(self._monotonic()):
            raise provider_unavailable(provider, _FIRST_RETRY_SECONDS)
        return value


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T | None = None
    fetched_at: float | None = None
    tried_at: float | None = None
    forced_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def usable(self, now: float) -> bool:
        return self.fetched_at is not None and now - self.fetched_at < _STALE_SECONDS

    def wants_fetch(self, now: float, *, newer: bool) -> bool:
        if self.tried_at is None:
            return True
        failing = self.tried_at != self.fetched_at
        if failing:
            return now - self.tried_at >= (_RETRY_SECONDS if self.usable(now) else _FIRST_RETRY_SECONDS)
        if newer:
            return self.forced_at is None or now - self.forced_at >= _RETRY_SECONDS
        return now - self.tried_at >= _FRESH_SECONDS


def _read_metadata(provider: Provider, document: Mapping[str, object]) -> Metadata:
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or not _is_issuer_of(provider, issuer):
        raise ValueError("issuer differs from the catalogue's")
    algorithms = document.get("id_token_signing_alg_values_supported")
    return Metadata(
        issuer=issuer,
        authorize=_url(document, "authorization_endpoint"),
        token=_url(document, "token_endpoint"),
        userinfo=_url(document, "userinfo_endpoint"),
        jwks=_url(document, "jwks_uri"),
        revoke=_url(document, "revocation_endpoint"),
        algorithms=frozenset(name for name in algorithms if isinstance(name, str))
        if isinstance(algorithms, list)
        else None,
    )


def _is_issuer_of(provider: Provider, issuer: str) -> bool:
    """With `issuer_by_tid`, one segment of the path may differ: the document has the tenant's id, or a place for it."""
    if issuer == provider.issuer:
        return True
    if "issuer_by_tid" not in provider.quirks or provider.issuer is None:
        return False
    ours, theirs = provider.issuer.split("/"), issuer.split("/")
    if len(ours) != len(theirs):
        return False
    different = [position for position, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    return len(different) == 1 and different[0] > 2 and bool(_TENANT.fullmatch(theirs[different[0]]))


_TENANT = re.compile(r"\{tenantid\}|[0-9a-f-]{36}")


def _url(document: Mapping[str, object], name: str) -> str | None:
    """Held to the catalogue's rule for addresses: tokens are sent there."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or url_problem(value) or "{" in value:
        raise ValueError(f"{name} is not an address to send credentials to")
    return value


def _read_keys(document: Mapping[str, object]) -> Keys:
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise ValueError("no list of keys")  # noqa: TRY004 - what was read is wrong, not what was passed
    return tuple(key for key in keys[:_MOST_KEYS] if isinstance(key, dict))


def _members(answer: Answer) -> Mapping[str, object]:
    if answer.status != 200 or answer.body is None:
        raise ValueError(f"status {answer.status}, or too long")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - what was read is wrong, not what was passed
    return document
