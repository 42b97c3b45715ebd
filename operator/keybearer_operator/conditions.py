"""Conditions of a status: stamped with the generation that they speak of, and with the time of the last change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_MESSAGE_LENGTH = 32768


@dataclass(frozen=True, slots=True)
class Condition:
    """`status`: None is Unknown. `reason` is one word for programs; `message` says what to do, for people."""

    type: str
    status: bool | None
    reason: str
    message: str


def merge(
    before: Iterable[Mapping[str, Any]], now: Sequence[Condition], *, generation: int, moment: datetime
) -> list[dict[str, Any]]:
    """What belongs into `status.conditions`, sorted by type. Those not in `now` go.

    `lastTransitionTime` moves only when a condition's status does, so that an unchanged status is no write.
    """
    known = {condition["type"]: condition for condition in before}
    return [_stamped(condition, known.get(condition.type), generation, moment) for condition in _sorted(now)]


def find(conditions: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The condition of that type."""
    return next((condition for condition in conditions if condition["type"] == name), None)


def time_text(moment: datetime) -> str:
    """As the API server writes times: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stamped(
    condition: Condition, before: Mapping[str, Any] | None, generation: int, moment: datetime
) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[condition.status]
    unchanged = before is not None and before["status"] == status
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason,
        "message": condition.message[:_MESSAGE_LENGTH],
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if before and unchanged else time_text(moment),
    }


def _sorted(conditions: Sequence[Condition]) -> list[Condition]:
    return sorted(conditions, key=lambda condition: condition.type)
