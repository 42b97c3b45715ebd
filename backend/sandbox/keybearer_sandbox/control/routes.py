"""The endpoints for tests: arm faults, reset, read counters and mail, register redirect URIs."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.answers import Json
from keybearer_sandbox.control.faults import KINDS, MAX_SECONDS, OPERATIONS, Fault
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.sandbox import DEFAULT_EXPIRES_IN, PROVIDERS, Sandbox

MAX_TIMES = 1_000_000
MAX_GRACE_SECONDS = 86_400.0
MAX_EXPIRES_IN = 366 * 86_400
_FIELDS = {"provider", "fault", "times", "operation", "rotation_grace_seconds", "expires_in", "seconds"}
_AT_ONCE = ("expire_access_tokens", "revoke_refresh_tokens", "rotate_signing_key", "none")
_DEFAULT_SECONDS = {"timeout": MAX_SECONDS, "slow": 2.0, "rate_limited": 1.0}


class ControlRoutes:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/control", self._control, methods=["POST"]),
            Route("/control", self._armed, methods=["GET"]),
            Route("/reset", self._reset, methods=["POST"]),
            Route("/stats", self._stats),
            Route("/mail", self._mail),
            Route("/redirect-uris", self._redirect_uris, methods=["POST"]),
        ]

    async def _control(self, request: Request) -> Response:
        try:
            order = await parameters.json_object(request)
            return Json(self._obey(order))
        except MalformedRequest as error:
            return Json({"error": str(error)}, 400)

    async def _armed(self, request: Request) -> Response:
        return Json(self._report())

    async def _reset(self, request: Request) -> Response:
        self._sandbox.reset()
        return Json({"status": "reset"})

    async def _stats(self, request: Request) -> Response:
        return Json(self._sandbox.stats.report())

    async def _mail(self, request: Request) -> Response:
        try:
            address = parameters.query(request).get("to")
        except MalformedRequest as error:
            return Json({"error": str(error)}, 400)
        return Json({"items": [m.as_json() for m in self._sandbox.inbox.to(address)], "next": None})

    async def _redirect_uris(self, request: Request) -> Response:
        try:
            uri = (await parameters.json_object(request)).get("redirect_uri")
        except MalformedRequest as error:
            return Json({"error": str(error)}, 400)
        if not isinstance(uri, str) or not is_redirect_uri(uri):
            return Json({"error": "redirect_uri must be an absolute http or https address, no fragment."}, 400)
        self._sandbox.clients.register_redirect_uri(uri)
        return Json({"redirect_uris": self._sandbox.clients.redirect_uris})

    def _obey(self, order: dict[str, Any]) -> dict[str, object]:
        unknown = sorted(order.keys() - _FIELDS)
        if unknown:
            raise MalformedRequest(f"Unknown fields: {', '.join(unknown)}")
        provider = _one_of(order, "provider", PROVIDERS)
        if "fault" not in order and "expires_in" not in order:
            raise MalformedRequest("Name a fault, or set expires_in.")
        changes: dict[str, object] = {}
        if "fault" in order:
            name = _one_of(order, "fault", (*KINDS, *_AT_ONCE))
            if name in _AT_ONCE:
                changes = self._do_now(provider, name)
            else:
                self._sandbox.faults.arm(_fault(provider, name, order))
        if "expires_in" in order:
            self._sandbox.expires_in[provider] = _expires_in(provider, order)
        return {**self._report(), **changes}

    def _do_now(self, provider: str, name: str) -> dict[str, object]:
        if name == "expire_access_tokens":
            return {"expired": self._sandbox.tokens.expire_access_tokens(provider)}
        if name == "revoke_refresh_tokens":
            return {"revoked": self._sandbox.tokens.revoke_refresh_tokens(provider)}
        if name == "rotate_signing_key":
            self._sandbox.keys.rotate()
            self._sandbox.save()
            return {}
        self._sandbox.faults.clear(provider)
        return {}

    def _report(self) -> dict[str, object]:
        return {
            "faults": [f.as_json() for f in self._sandbox.faults.armed()],
            "expires_in": self._sandbox.expires_in,
        }


def is_redirect_uri(uri: str) -> bool:
    """Absolute, http or https, printable ASCII, without a fragment (RFC 6749 section 3.1.2)."""
    if not (uri.isascii() and uri.isprintable()) or " " in uri or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _fault(provider: str, name: str, order: dict[str, Any]) -> Fault:
    kind = KINDS[name]
    operations = kind.operations
    if "operation" in order:
        if not kind.takes_operation:
            raise MalformedRequest(f"{name} strikes one operation only; leave operation out.")
        operations = OPERATIONS[_one_of(order, "operation", tuple(OPERATIONS))]
    return Fault(
        provider=provider,
        name=name,
        operations=operations,
        remaining=_times(order, kind.times),
        seconds=_number(order, "seconds", _DEFAULT_SECONDS.get(name, 1.0), MAX_SECONDS),
        rotation_grace_seconds=_number(order, "rotation_grace_seconds", 0.0, MAX_GRACE_SECONDS),
    )


def _one_of(order: dict[str, Any], field: str, choices: tuple[str, ...]) -> str:
    value = order.get(field)
    if not isinstance(value, str) or value not in choices:
        raise MalformedRequest(f"{field} must be one of: {', '.join(choices)}")
    return value


def _times(order: dict[str, Any], default: int | None) -> int | None:
    times = order.get("times", default)
    if times is None:
        return None
    if not _is_whole(times) or not 1 <= times <= MAX_TIMES:
        raise MalformedRequest(f"times must be a whole number from 1 to {MAX_TIMES}, or null for until reset.")
    return int(times)


def _number(order: dict[str, Any], field: str, default: float, most: float) -> float:
    value = order.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise MalformedRequest(f"{field} must be a number from 0 to {most:g}.")
    return float(value)


def _expires_in(provider: str, order: dict[str, Any]) -> int | None:
    value = order["expires_in"]
    if value is None:
        return DEFAULT_EXPIRES_IN[provider]
    if not _is_whole(value) or not 1 <= value <= MAX_EXPIRES_IN:
        raise MalformedRequest(f"expires_in must be whole seconds from 1 to {MAX_EXPIRES_IN}, or null.")
    return int(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
