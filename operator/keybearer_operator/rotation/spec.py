"""The custom resource's `spec` as the planner takes it. The API server has checked its shape by the schema."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from keybearer_operator import conditions
from keybearer_operator.kube import Object
from keybearer_operator.rotation.model import Reported, Spec, Type, Window

ROTATE_NOW: Final = "keybearer.dev/rotate-now"
ACCEPT: Final = "keybearer.dev/accept"

_PART = re.compile(r"(\d+)([hms])")
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAXIMUM = timedelta(minutes=15)
# Others keep our JWKS for ten minutes; what was signed with the old key is valid for an hour at most (rule R2).
_SIGNING_MINIMUM = timedelta(minutes=10)
_SIGNING_KEEP = timedelta(minutes=65)
_BATCH_SIZE = 500
_RATE = 2000


def spec(rotation: Object) -> Spec:
    given = rotation["spec"]
    kind = Type(given["type"])
    overlap = given.get("overlap", {})
    schedule = given.get("schedule", {})
    rewrap = given.get("rewrap", {})
    signing = kind is Type.SIGNING_KEYRING
    minimum = _duration(overlap.get("min")) or (timedelta() if "min" in overlap or not signing else _SIGNING_MINIMUM)
    keep = _SIGNING_KEEP if signing and "min" not in overlap else minimum
    return Spec(
        type=kind,
        interval=_duration(schedule.get("interval")),
        windows=tuple(_window(each) for each in schedule.get("windows", ())),
        minimum=minimum,
        keep=keep,
        maximum=_duration(overlap.get("max")) or max(_MAXIMUM, minimum),
        batch_size=rewrap.get("batchSize", _BATCH_SIZE),
        rate=rewrap.get("rateLimit", _RATE),
        retain=given.get("retainPrevious", 0) if kind.is_keyring else 0,
        suspend=given.get("suspend", False),
    )


def reported(rotation: Object) -> Reported:
    status = rotation.get("status", {})
    rewrap = status.get("rewrap")
    converged = conditions.find(status.get("conditions", ()), "ConsumersConverged")
    waits = converged is not None and converged["status"] == "False"
    return Reported(
        active=status.get("activeKeyID"),
        staged=status.get("stagedKeyID"),
        previous=tuple(status.get("previousKeyIDs", ())),
        rotated=_moment(status.get("lastRotationTime")),
        rewrap=(rewrap["total"], rewrap["remaining"]) if rewrap else None,
        unconverged_since=_moment(converged["lastTransitionTime"]) if converged and waits else None,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _duration(text: str | None) -> timedelta | None:
    """`1h30m`; None for none and for zero."""
    if text is None:
        return None
    total = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(text)), timedelta())
    return total or None


def _window(given: dict[str, Any]) -> Window:
    opens, until = _time(given["from"]), _time(given["until"])
    lasts = until - opens
    if lasts <= timedelta():
        lasts += timedelta(days=1)
    return Window(frozenset(_DAYS.index(day) for day in given.get("days", _DAYS)), opens, lasts)


def _time(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))
