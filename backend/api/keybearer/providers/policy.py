"""What the proxy lets through, as pure functions over bytes.

    path = canonical_path(raw_path)                    # BadInput `path_refused`
    api, url = route(provider, path)                   # url + b"?" + query is what goes out
    decision = decide(provider, method, path, scopes)  # scopes None: the grant does not narrow them
    name = refused_query(query)                        # a key that would bring its own credential, or None
    headers = forwarded_request_headers(request_headers, provider)
    headers = forwarded_answer_headers(answer_headers)

The bytes that are matched are the bytes that are sent. So whatever a server behind us could read as another
path (dot segments, encoded slashes, letters written as %61, double encoding) is refused, not normalised.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_to_bytes

from keybearer.kit.errors import BadInput, NotFound
from keybearer.providers.model import Api, Effect, Provider, Rule

Reason = Literal["rule", "default", "scope_missing", "scope_unmapped"]
RawHeaders = Iterable[tuple[bytes, bytes]]

_LONGEST_PATH = 8192
# RFC 3986 pchar without ';': servers that cut `;parameters` off would see another path than our rules.
_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
# Encoded: control bytes, slash, backslash, whatever no honest client encodes, double encoding, and the two bytes
# that no UTF-8 text holds but careless decoders read as '.' or '/'.
_ENCODED_TRAP = re.compile(
    rb"%(?:[01][0-9a-f]|7f|2f|5c|2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a]|25[0-9a-f]{2}|c[01])",
    re.IGNORECASE,
)
_DOT_SEGMENT = re.compile(rb"/\.\.?(?:/|\Z)")
_UNRESERVED = re.compile(r"[A-Za-z0-9._-]")

_REFUSED_QUERY_KEYS = frozenset({b"access_token", b"key", b"oauth_token"})
_NOT_IN_A_KEY = bytes(range(0x21)) + b"\x7f"

_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_NEVER_SENT = _HOP_BY_HOP | {
    b"authorization", b"cookie", b"cookie2", b"expect", b"forwarded", b"host", b"x-real-ip",
}  # fmt: skip
_NEVER_SENT_PREFIXES = (b"keybearer-", b"x-forwarded-", b"x-http-method", b"x-method-override", b"proxy-")
_SENT_PREFIXES = (b"accept", b"content-", b"if-")
_SENT = frozenset({b"range"})
_NEVER_ANSWERED = _HOP_BY_HOP | {
    b"set-cookie", b"set-cookie2", b"clear-site-data", b"strict-transport-security", b"public-key-pins",
    b"content-security-policy", b"content-security-policy-report-only", b"x-content-type-options",
    # These reach past the answer: they move or report on everything else at our origin.
    b"alt-svc", b"nel", b"refresh", b"report-to", b"reporting-endpoints", b"service-worker-allowed",
    b"sourcemap", b"x-frame-options", b"date", b"server",
}  # fmt: skip
_NEVER_ANSWERED_PREFIXES = (b"access-control-", b"keybearer-", b"proxy-")
_ADDED_TO_ANSWERS = ((b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox"))


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the first that matched, if any. `reason` says what gave the effect."""

    effect: Effect
    reason: Reason
    rule: Rule | None = None


def canonical_path(raw_path: bytes) -> bytes:
    """The path, unchanged, to match and send; BadInput `path_refused` if servers could disagree on it."""
    sound = (
        len(raw_path) <= _LONGEST_PATH
        and _PATH.fullmatch(raw_path)
        and b"//" not in raw_path
        and not _ENCODED_TRAP.search(raw_path)
        and not _DOT_SEGMENT.search(raw_path)
    )
    if not sound:
        raise BadInput(
            "path_refused",
            "This path could mean different things to different servers. Send it without dot segments, double "
            "or encoded slashes, backslashes, ';' and control characters; leave letters and digits unencoded.",
        )
    return raw_path


def route(provider: Provider, path: bytes) -> tuple[Api, bytes]:
    """The API with the longest prefix of this path, and the URL without query to call."""
    fitting = [api for api in provider.apis if _is_under(path, api.prefix.encode())]
    if not fitting:
        raise NotFound("provider_has_no_api", f"{provider.title} has no API here; it only signs people in.")
    api = max(fitting, key=lambda one: len(one.prefix))
    return api, api.base.encode() + path


def decide(provider: Provider, method: str, path: bytes, granted_scopes: Iterable[str] | None) -> Decision:
    """The first rule that matches gives the effect; the first with scopes says which ones the call needs."""
    verb = method.upper()
    verb = "GET" if verb == "HEAD" else verb
    matching = [rule for rule in provider.policy.rules if _matches(rule, verb, path)]
    first = matching[0] if matching else None
    if first is not None and first.effect == "deny":
        return Decision("deny", "rule", first)
    if granted_scopes is not None:
        needed = next((rule.scopes for rule in matching if rule.scopes is not None), None)
        if needed is None:
            return Decision("deny", "scope_unmapped", first)
        if needed and needed.isdisjoint(granted_scopes):
            return Decision("deny", "scope_missing", first)
    if first is None:
        return Decision(provider.policy.default, "default")
    return Decision(first.effect, "rule", first)


def refused_query(query: bytes) -> str | None:
    """The name of the first query key by which a caller would bring a credential of their own."""
    for pair in re.split(rb"[&;]", query):
        key = _decoded(pair.partition(b"=")[0]).partition(b"[")[0]
        if key in _REFUSED_QUERY_KEYS:
            return key.decode()
    return None


def never_forwarded(name: str) -> bool:
    """Whether a request header stays here, whatever the catalogue says."""
    key = name.lower().encode("latin-1", "replace")
    return key in _NEVER_SENT or key.startswith(_NEVER_SENT_PREFIXES)


def forwarded_request_headers(headers: RawHeaders, provider: Provider) -> list[tuple[bytes, bytes]]:
    """The caller's headers that may go upstream, in lower case, then the provider's own where not given.

    The credential is not among them; the caller of this function adds it.
    """
    given = [(name.lower(), value) for name, value in headers]
    extras = {name.encode() for name in provider.headers.allow}
    refused = _nominated(given) | {provider.credential.header.lower().encode()}
    sent = [
        (name, value)
        for name, value in given
        if (name in _SENT or name in extras or name.startswith(_SENT_PREFIXES))
        and name not in refused
        and not never_forwarded(name.decode("latin-1"))
    ]
    present = {name for name, _ in sent}
    fixed = ((name.lower().encode(), value.encode()) for name, value in provider.headers.fixed.items())
    return sent + [(name, value) for name, value in fixed if name not in present]


def forwarded_answer_headers(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The provider's headers that may reach the caller, with what keeps a browser from running the body."""
    given = [(name.lower(), value) for name, value in headers]
    refused = _NEVER_ANSWERED | _nominated(given)
    kept = [
        (name, value)
        for name, value in given
        if name not in refused
        and not name.startswith(_NEVER_ANSWERED_PREFIXES)
        and not _asks_for_a_password(name, value)
    ]
    return [*kept, *_ADDED_TO_ANSWERS]


def _is_under(path: bytes, prefix: bytes) -> bool:
    return path == prefix or path.startswith(prefix if prefix.endswith(b"/") else prefix + b"/")


def _matches(rule: Rule, verb: str, path: bytes) -> bool:
    return (not rule.methods or verb in rule.methods) and _pattern(rule.path).fullmatch(path) is not None


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[bytes]:
    """Case and a last slash do not count, as many servers ignore both; reserved characters may be encoded."""
    pattern = "/".join(_segment(segment) for segment in glob.removesuffix("/**").split("/"))
    pattern += "(?:/.*)?" if glob.endswith("/**") else "/?"
    return re.compile(pattern.encode(), re.IGNORECASE | re.DOTALL)


def _segment(segment: str) -> str:
    whole = {"**": ".*", "*": "[^/]+"}
    return whole.get(segment) or "".join(_character(one) for one in segment)


def _character(one: str) -> str:
    if one == "*":
        return "[^/]*"
    if _UNRESERVED.fullmatch(one):
        return re.escape(one)
    return f"(?:{re.escape(one)}|%{ord(one):02x})"


def _decoded(key: bytes) -> bytes:
    """Lower case, decoded to the end, without spaces and control bytes, which some servers trim."""
    previous = b""
    while key != previous:
        previous, key = key, unquote_to_bytes(key.replace(b"+", b" "))
    return key.translate(None, _NOT_IN_A_KEY).lower()


def _nominated(headers: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Names that a Connection header declares to be for this hop alone (RFC 9110, 7.6.1)."""
    values = [value for name, value in headers if name == b"connection"]
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def _asks_for_a_password(name: bytes, value: bytes) -> bool:
    """A browser would ask for a password in our name; Bearer challenges are for programs and stay."""
    return name == b"www-authenticate" and not value.strip().lower().startswith((b"bearer", b"dpop"))
