"""A rotation's status, from what there is: pure. Its messages say what happens and what to do."""

import json
from dataclasses import dataclass
from typing import Any

from keybearer_operator.conditions import Condition, time_text
from keybearer_operator.rotation import hands, plan
from keybearer_operator.rotation.hands import Trouble
from keybearer_operator.rotation.model import Content, Job, Observed, Phase, State, Step, Type

_NAMES_SHOWN = 5
_ROLLED_BACK = "SecretRolledBack"


@dataclass(frozen=True, slots=True)
class Report:
    """`fields`: the status without conditions and generation."""

    fields: dict[str, Any]
    conditions: list[Condition]


def report(seen: Observed) -> Report:
    step = plan.step(seen)
    blocked = _blocked(seen)
    degraded = hands.trouble(seen) or _stuck(seen, step, blocked)
    conditions = [
        _ready(seen, step, degraded),
        _rotating(seen, step, blocked),
        _converged(seen, step, blocked),
        _rewrapped(seen),
        Condition("Degraded", True, degraded.reason, degraded.message)
        if degraded
        else Condition("Degraded", False, "AsExpected", "Nothing keeps this rotation from its work."),
    ]
    return Report(_fields(seen, step), conditions)


def _fields(seen: Observed, step: Step) -> dict[str, Any]:
    content = seen.content
    state = content.state if content else None
    fields: dict[str, Any] = {"step": str(step), "consumers": _count(seen)}
    if content is None or state is None or _is_rolled_back(seen):
        fields |= _witness(seen)
    else:
        fields |= {
            "activeKeyID": state.active,
            "previousKeyIDs": list(state.previous),
            "lastRotationTime": time_text(state.rotated),
            "failedAttempts": state.failures,
        }
        if state.staged is not None:
            fields["stagedKeyID"] = state.staged
        due = plan.next_rotation(seen, state)
        if due is not None:
            fields["nextRotationTime"] = time_text(due)
    if content is not None:
        fields["revision"] = content.revision
    numbers = _rewrap_numbers(seen)
    if numbers is not None:
        fields["rewrap"] = {"total": numbers[0], "remaining": numbers[1]}
    return fields


def _is_rolled_back(seen: Observed) -> bool:
    found = hands.trouble(seen)
    return found is not None and found.reason == _ROLLED_BACK


def _witness(seen: Observed) -> dict[str, Any]:
    """What was said before stays: it is all that tells that the Secret lacks something."""
    said = seen.reported
    fields: dict[str, Any] = {"previousKeyIDs": list(said.previous), "failedAttempts": 0}
    if said.active is not None:
        fields["activeKeyID"] = said.active
    if said.staged is not None:
        fields["stagedKeyID"] = said.staged
    if said.rotated is not None:
        fields["lastRotationTime"] = time_text(said.rotated)
    return fields


def _count(seen: Observed) -> dict[str, int]:
    total = sum(len(consumer.pods) for consumer in seen.consumers)
    return {"total": total, "acked": total - len(_silent(seen))}


def _silent(seen: Observed) -> list[str]:
    """Pods that have not acknowledged."""
    if seen.content is None:
        return [pod.name for consumer in seen.consumers for pod in consumer.pods]
    content = seen.content
    return [
        pod.name
        for consumer in seen.consumers
        for pod in consumer.pods
        if not plan.acknowledges(pod, consumer, content)
    ]


def _blocked(seen: Observed) -> str:
    """Whom the rotation waits for; empty: for nobody."""
    missing = [f"{each.kind} {each.name}" for each in seen.consumers if not each.found]
    if missing:
        return f"{_names(missing)} is not there. Name the consumer as it is, or remove it from spec.consumers."
    silent = _silent(seen)
    if silent:
        return (
            f"{len(silent)} of {_count(seen)['total']} pods do not report the revision: {_names(silent)}. See "
            "`kubectl logs` of them; a pod that will never answer has to be deleted."
        )
    restarting = [each for each in seen.consumers if seen.content and not plan.consumer_converged(each, seen.content)]
    if restarting:
        return f"{_names([f'{each.kind} {each.name}' for each in restarting])} is being restarted."
    if seen.others:
        return f"Pods that use the Secret are not finished: {_names(list(seen.others))}. They end by themselves."
    return ""


def _stuck(seen: Observed, step: Step, blocked: str) -> Trouble | None:
    missing = any(not each.found for each in seen.consumers)
    if missing:
        return Trouble("ConsumerMissing", blocked)
    state = seen.content.state if seen.content else None
    if state is None:
        return None
    cannot = [
        f"{name} ({job.message})" for name, job in seen.jobs.items() if job.phase is Phase.RUNNING and job.message
    ]
    if cannot:
        return Trouble("JobNotStarting", f"A Job's pod cannot start: {_names(cannot)}. See `kubectl describe` of it.")
    if state.failures >= 2:
        return Trouble("JobFailing", f"{_failing(step)} failed {state.failures} times. {_JOBS}")
    if blocked and step is not Step.IDLE:
        waiting = max(state.since, seen.reported.unconverged_since or seen.now)
        if seen.now - waiting > seen.spec.maximum:
            kept = "The old key is not retired" if seen.spec.type.is_keyring else "The old one stays valid"
            return Trouble("ConsumersNotConverged", f"Longer than spec.overlap.max: {blocked} {kept} before.")
    return None


_JOBS = (
    "See `kubectl logs` of the Jobs that this object owns (`kubectl get jobs`). It is tried again, ever more slowly."
)


def _failing(step: Step) -> str:
    return {
        Step.PREPARING: "Giving the login its new password",
        Step.RETIRING: "Retiring the old one",
    }.get(step, "Rewrapping")


def _ready(seen: Observed, step: Step, degraded: Trouble | None) -> Condition:
    if degraded is not None:
        return Condition("Ready", False, degraded.reason, degraded.message)
    if seen.content is None or seen.content.state is None:
        return Condition("Ready", None, "Starting", "The Secret is looked at for the first time.")
    note = _unknown(seen.content)
    if seen.spec.suspend:
        return Condition("Ready", True, "Suspended", f"Nothing is rotated while spec.suspend is true.{note}")
    if step is not Step.IDLE:
        return Condition("Ready", True, "Rotating", f"The Secret can be used; it is being rotated ({step}).{note}")
    return Condition("Ready", True, "Idle", f"{seen.content.state.active} is in use.{note}")


def _unknown(content: Content) -> str:
    unknown = hands.unknown_keys(content)
    if not unknown:
        return ""
    return (
        f" The Secret also holds keys that this rotation does not know: {_names(unknown)}. They are kept. Remove them "
        f"by hand, or have them retired: annotate this object keybearer.dev/accept={content.revision}."
    )


def _rotating(seen: Observed, step: Step, blocked: str) -> Condition:
    state = seen.content.state if seen.content else None
    if state is None or step is Step.IDLE:
        return Condition("Rotating", False, "Idle", _idle(seen, state, blocked))
    waits = f" Waiting: {blocked}" if blocked else ""
    if seen.spec.suspend:
        return Condition("Rotating", True, "Suspended", f"Stopped at {step}; set spec.suspend to false to go on.")
    sentence = {
        Step.PREPARING: f"The login {state.staged} gets a new password from a Job.",
        Step.STAGED: f"{state.staged} can be read with; it is promoted when all pods report it.",
        Step.PROMOTED: f"{state.active} is in use; the old one goes when all pods report it.",
        Step.REWRAPPING: f"A Job wraps all data keys with {state.active}.",
        Step.RETIRING: f"{', '.join(plan.keys_to_retire(seen, state))} is being retired.",
    }[step]
    since = seen.spec.minimum if step is Step.STAGED else seen.spec.keep
    return Condition("Rotating", True, str(step), f"{sentence} Not before {time_text(state.since + since)}.{waits}")


def _idle(seen: Observed, state: State | None, blocked: str) -> str:
    if state is None:
        return "Nothing is rotated yet."
    due = plan.next_rotation(seen, state)
    when = f"Next rotation: {time_text(due)}." if due else "It is rotated when keybearer.dev/rotate-now changes."
    return f"{when} Before that: {blocked}" if blocked else when


def _converged(seen: Observed, step: Step, blocked: str) -> Condition:
    # While nothing is rotated, a backup that runs is nothing to report.
    waits = blocked and (step is not Step.IDLE or bool(_silent(seen)) or any(not each.found for each in seen.consumers))
    if seen.content is None:
        return Condition("ConsumersConverged", None, "SecretMissing", "There is nothing to acknowledge.")
    if waits:
        return Condition("ConsumersConverged", False, "Waiting", blocked)
    return Condition(
        "ConsumersConverged", True, "AllAcknowledged", f"{_count(seen)['total']} of them report the revision."
    )


def _rewrapped(seen: Observed) -> Condition:
    state = seen.content.state if seen.content else None
    if seen.spec.type is not Type.AES_KEYRING:
        return Condition("RewrapComplete", True, "NotNeeded", "Nothing in the database is encrypted with it.")
    if state is None:
        return Condition("RewrapComplete", None, "Starting", "The Secret is looked at for the first time.")
    if state.rewrapped == state.active:
        return Condition("RewrapComplete", True, "Complete", f"All data keys are wrapped with {state.active}.")
    numbers = _rewrap_numbers(seen)
    left = f" {numbers[1]} of {numbers[0]} are left." if numbers else ""
    return Condition(
        "RewrapComplete", False, "Rewrapping", f"Data keys are still to be wrapped with {state.active}.{left}"
    )


def _rewrap_numbers(seen: Observed) -> tuple[int, int] | None:
    """Total and remaining data keys."""
    state = seen.content.state if seen.content else None
    if state is None or seen.spec.type is not Type.AES_KEYRING:
        return None
    job = seen.jobs.get(plan.rewrap_job(seen, state))
    said = _numbers(job) or seen.reported.rewrap
    if said is None:
        return None
    return (said[0], 0) if state.rewrapped == state.active else said


def _numbers(job: Job | None) -> tuple[int, int] | None:
    if job is None or job.phase is Phase.RUNNING:
        return None
    try:
        told = json.loads(job.message)
        return int(told["total"]), int(told["remaining"])
    except (ValueError, KeyError, TypeError):
        return None


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown
