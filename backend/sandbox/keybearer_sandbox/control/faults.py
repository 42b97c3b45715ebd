"""The faults that a test can arm, and the book of those that still wait to strike.

A fault strikes operations: `code`, `refresh` and `client_credentials` at the token endpoint, `api` at every API
endpoint, and `authorize`, `discovery`, `jwks` and `revoke`. `token` is all of the token endpoint, `any` that and `api`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

TOKEN = frozenset({"code", "refresh", "client_credentials"})
OPERATIONS = {
    "token": TOKEN,
    "any": TOKEN | {"api"},
    **{name: frozenset({name}) for name in (*sorted(TOKEN), "api", "authorize", "discovery", "jwks", "revoke")},
}
MAX_SECONDS = 60.0


@dataclass(frozen=True)
class FaultKind:
    """`times` when the caller gives none; None means until reset."""

    operations: frozenset[str]
    times: int | None = 1
    takes_operation: bool = False


_ANY = FaultKind(OPERATIONS["any"], takes_operation=True)
_CODE_OR_REFRESH = FaultKind(frozenset({"code", "refresh"}))

KINDS = {
    "invalid_grant": FaultKind(frozenset({"refresh"}), times=None, takes_operation=True),
    "invalid_client": FaultKind(TOKEN, times=None, takes_operation=True),
    "timeout": _ANY,
    "lost_response": FaultKind(TOKEN, takes_operation=True),
    "rate_limited": _ANY,
    "server_error": _ANY,
    "slow": _ANY,
    "rotate": FaultKind(frozenset({"refresh"}), times=None),
    "omit_refresh_token": FaultKind(frozenset({"code", "refresh"}), times=None, takes_operation=True),
    "bad_signature": _CODE_OR_REFRESH,
    "wrong_nonce": FaultKind(frozenset({"code"})),
    "wrong_issuer": _CODE_OR_REFRESH,
    "old_auth_time": FaultKind(frozenset({"code"})),
    "reject_access_token": FaultKind(frozenset({"api"})),
    "discovery_unavailable": FaultKind(frozenset({"discovery", "jwks"}), times=None, takes_operation=True),
}


@dataclass
class Fault:
    provider: str
    name: str
    operations: frozenset[str]
    remaining: int | None
    seconds: float
    rotation_grace_seconds: float

    def as_json(self) -> dict[str, object]:
        return {
            "provider": self.provider,
            "fault": self.name,
            "operations": sorted(self.operations),
            "remaining": self.remaining,
            "seconds": self.seconds,
            "rotation_grace_seconds": self.rotation_grace_seconds,
        }


class Faults:
    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """A fault armed again for the same operations replaces the earlier one."""
        self._armed = [
            f
            for f in self._armed
            if (f.provider, f.name, f.operations) != (fault.provider, fault.name, fault.operations)
        ]
        self._armed.append(fault)

    def take(self, provider: str, name: str, operation: str) -> Fault | None:
        """The waiting fault that strikes this operation, if there is one; it is used up by one."""
        for fault in self._armed:
            if (fault.provider, fault.name) == (provider, name) and operation in fault.operations:
                self._use(fault)
                return fault
        return None

    def clear(self, provider: str | None = None) -> None:
        self._armed = [f for f in self._armed if provider is not None and f.provider != provider]

    def armed(self) -> Iterable[Fault]:
        return tuple(self._armed)

    def _use(self, fault: Fault) -> None:
        if fault.remaining is None:
            return
        fault.remaining -= 1
        if fault.remaining <= 0:
            self._armed.remove(fault)
