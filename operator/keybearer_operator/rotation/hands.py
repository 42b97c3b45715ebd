"""What people did to the Secret by hand, or to the clock: which of it is followed, and which stops everything.

Followed, with an event: a key named primary by hand, a staged key that vanished (it encrypted nothing yet), a state
that was lost, a clock that went back. Kept, and never retired: keys that nobody told us of. Everything else could lose
data, so nothing is changed until a person puts it right, or says that it is right: the annotation keybearer.dev/accept
with the Secret's revision.
"""

import dataclasses
from dataclasses import dataclass
from datetime import timedelta

from keybearer_operator.rotation.model import NEXT_LOGIN, Content, Observed, Record, State, Type

_CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing is changed while it lasts."""

    reason: str
    message: str


def trouble(seen: Observed) -> Trouble | None:
    content = seen.content
    if content is None:
        return Trouble("SecretMissing", "The Secret is not there. Restore it from the keyring's backup, or make it.")
    if content.problem:
        return Trouble(
            "SecretInvalid", f"{content.problem} Put it back as it was; consumers go on with what they have."
        )
    found = _lost(seen, content)
    if found is None or not seen.spec.type.is_keyring:
        return found
    return dataclasses.replace(
        found,
        message=f"{found.message} Nothing is changed until then. If the Secret is right as it is, annotate this object "
        f"keybearer.dev/accept={content.revision}.",
    )


def unknown_keys(content: Content) -> list[str]:
    """Keys that this rotation neither made nor took over."""
    if content.state is None:
        return []
    return sorted(content.keys.keys() - content.state.keys.keys())


def mend(seen: Observed, content: Content) -> Record | None:
    """The state that follows the Secret, where it does not yet."""
    if content.problem:
        return None
    declared = seen.spec.type.is_keyring and seen.accept == content.revision
    if declared and (_lost(seen, content) is not None or unknown_keys(content)):
        return Record(_accepted(seen, content), "Accepted", "The Secret was declared right as it is.")
    if _lost(seen, content) is not None:
        return None
    if content.state is None:
        return _adopted(seen, content)
    return _followed(seen, content, content.state)


def _lost(seen: Observed, content: Content) -> Trouble | None:
    """What rows, signatures or sessions may need, and the Secret does not have."""
    if seen.spec.type is Type.OPAQUE_SECRET:
        return None
    if seen.spec.type is Type.POSTGRES_USER:
        return _unknown_login(content)
    state = content.state
    for key_id, digest in sorted(state.keys.items() if state else ()):
        if key_id not in content.keys and key_id != (state.staged if state else None):
            return Trouble("KeyMissing", f"The key {key_id} vanished from the Secret. Put it back from its backup.")
        if content.keys.get(key_id, digest) != digest:
            return Trouble("KeyChanged", f"The key {key_id} is not the one it was. Put it back from its backup.")
    active = seen.reported.active
    accepted = state is not None and state.accepted == content.revision
    if not accepted and active is not None and active not in content.keys and active not in content.public:
        return Trouble(
            "SecretRolledBack", f"The Secret is older than this status: it lacks the key {active}. Restore it."
        )
    return None


def _unknown_login(content: Content) -> Trouble | None:
    if content.primary in NEXT_LOGIN:
        return None
    return Trouble("UnknownLogin", f"The Secret's username is none of {', '.join(NEXT_LOGIN)}. Put one of them back.")


def _accepted(seen: Observed, content: Content) -> State:
    """Everything that is there is ours now; the state goes on counting."""
    before = content.state
    others = tuple(sorted(content.keys.keys() - {content.primary}, reverse=True))
    return State(
        active=content.primary,
        since=seen.now,
        rotated=before.rotated if before else content.created,
        keys=dict(content.keys),
        previous=others,
        asked=before.asked if before else "",
        accepted=content.revision,
        attempt=before.attempt + 1 if before else 0,
    )


def _adopted(seen: Observed, content: Content) -> Record:
    """The first look at a Secret, or the first after its annotation was removed: then the status says what was."""
    said = seen.reported
    is_first = said.active is None
    staged = said.staged if said.staged in content.keys and said.staged != content.primary else None
    before = (said.active, *said.previous) if said.active else ()
    previous = tuple(each for each in before if each in content.keys and each not in {content.primary, staged})
    ours = {content.primary, *previous, *([staged] if staged else [])}
    only_key = is_first and len(content.keys) <= 1
    if seen.spec.type is Type.POSTGRES_USER:
        # Without a witness nothing is ended: both logins may be somebody's.
        staged, previous = None, tuple(each for each in said.previous if each != content.primary)
    state = State(
        active=content.primary,
        since=seen.now,
        rotated=said.rotated or content.created,
        keys={each: digest for each, digest in content.keys.items() if each in ours},
        staged=staged,
        previous=previous,
        rewrapped=content.primary if only_key else "",
        settled=content.revision if is_first else "",
    )
    if is_first:
        return Record(state, "Adopted", f"From now on {content.primary or 'this Secret'} is rotated.")
    return Record(
        state, "StateRestored", "The Secret's annotation was gone; this status says what it was.", warning=True
    )


def _followed(seen: Observed, content: Content, state: State) -> Record | None:
    if content.primary != state.active and seen.spec.type is not Type.OPAQUE_SECRET:
        return _promoted_by_hand(seen, content, state)
    if seen.spec.type.is_keyring and state.staged is not None and state.staged not in content.keys:
        keys = {each: digest for each, digest in state.keys.items() if each != state.staged}
        again = dataclasses.replace(
            state, staged=None, keys=keys, since=seen.now, asked="" if seen.asked else state.asked
        )
        note = f"The staged key {state.staged} vanished from the Secret. It encrypted nothing; another one is made."
        return Record(again, "StagedKeyVanished", note, warning=True)
    if max(state.rotated, state.since, state.failed_at or state.since) > seen.now + _CLOCK_TOLERANCE:
        back = dataclasses.replace(
            state,
            rotated=min(state.rotated, seen.now),
            since=min(state.since, seen.now),
            failed_at=min(state.failed_at, seen.now) if state.failed_at else None,
        )
        return Record(back, "ClockMoved", "The clock went back; times are counted from now.", warning=True)
    return None


def _promoted_by_hand(seen: Observed, content: Content, state: State) -> Record:
    primary = content.primary
    before = tuple(each for each in (state.active, *state.previous) if each != primary)
    # A staged key that was passed over is a previous one now: pods may still hold it.
    passed_over = (state.staged,) if state.staged not in {None, primary} and seen.spec.type.is_keyring else ()
    keys = {**state.keys, **({primary: content.keys[primary]} if primary in content.keys else {})}
    state = dataclasses.replace(
        state,
        active=primary,
        keys=keys,
        staged=None,
        previous=(*before, *(each for each in passed_over if each)),
        since=seen.now,
        rotated=seen.now,
        rewrapped="",
    )
    return Record(state, "PromotedByHand", f"{primary} was made the primary by hand; it is followed.", warning=True)
