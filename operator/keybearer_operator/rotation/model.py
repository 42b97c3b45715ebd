"""What the planner sees, and what it may ask for. Nothing here does anything, and nothing here holds a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

NEXT_LOGIN: Final = {
    "keybearer_app_a": "keybearer_app_b",
    "keybearer_app_b": "keybearer_app_a",
    "keybearer_migrator": "keybearer_migrator",
    "postgres": "postgres",
}
"""Whom a PostgresUser's Secret names after its login. Pods stay signed in, so the application's two take turns; a login
that Jobs alone use is its own successor, with another password."""


class Type(StrEnum):
    AES_KEYRING = "AESKeyring"
    SIGNING_KEYRING = "SigningKeyring"
    POSTGRES_USER = "PostgresUser"
    OPAQUE_SECRET = "OpaqueSecret"  # noqa: S105 - a kind, not a password

    @property
    def is_keyring(self) -> bool:
        return self in {Type.AES_KEYRING, Type.SIGNING_KEYRING}


class Mode(StrEnum):
    HOT_RELOAD = "HotReload"
    RESTART = "Restart"


class Step(StrEnum):
    IDLE = "Idle"
    PREPARING = "Preparing"
    STAGED = "Staged"
    PROMOTED = "Promoted"
    REWRAPPING = "Rewrapping"
    RETIRING = "Retiring"


class Purpose(StrEnum):
    """Of a Job; the word is in its name."""

    REWRAP = "rewrap"
    RETIRE = "retire"
    SET_LOGIN = "set-login"
    END_LOGIN = "end-login"


class Phase(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Window:
    """`days`: 0 is Monday. `opens` and `lasts` from midnight UTC."""

    days: frozenset[int]
    opens: timedelta
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Spec:
    """`minimum` and `keep`: the least time before promoting, and before retiring. `maximum`: until it is Degraded."""

    type: Type
    interval: timedelta | None
    windows: tuple[Window, ...]
    minimum: timedelta
    keep: timedelta
    maximum: timedelta
    batch_size: int
    rate: int
    retain: int
    suspend: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """What the object's own status said when it was read: a second witness beside the Secret."""

    active: str | None = None
    staged: str | None = None
    previous: tuple[str, ...] = ()
    rotated: datetime | None = None
    rewrap: tuple[int, int] | None = None
    unconverged_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a rotation is. It is kept in an annotation of the Secret, so that one write changes both or neither.

    `keys`: id to digest of each key that this rotation made or took over. `previous`: the latest first. `since`: when
    the staged, or else the active, key came. `rewrapped`: the key to which all rows were seen rewrapped. `asked`: the
    value of rotate-now that was served. `settled`: the revision for which nobody had to be restarted; `accepted`: the
    one that a person declared right. `attempt` counts failed Jobs for ever, because it is part of a Job's name;
    `failures` those of this rotation.
    """

    active: str
    since: datetime
    rotated: datetime
    keys: Mapping[str, str] = field(default_factory=dict)
    staged: str | None = None
    previous: tuple[str, ...] = ()
    rewrapped: str = ""
    asked: str = ""
    settled: str = ""
    accepted: str = ""
    attempt: int = 0
    failures: int = 0
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The Secret without its secrets.

    `keys`: id to digest, for keyrings; `public`: ids of retired signing keys. `primary`: the id it names, or the login.
    `revision`: what a restarted pod is marked with; `wanted`: what a pod that reloads reports when it has followed.
    `problem`: why it cannot be used, for people.
    """

    version: str
    created: datetime
    revision: str
    wanted: str
    primary: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    public: frozenset[str] = frozenset()
    state: State | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """The Secret with the login's new password."""

    login: str
    revision: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One that has to acknowledge (rule R9). `reports`: what it says, or was started for; None: it does not answer."""

    name: str
    reports: str | None
    notified: str = ""


@dataclass(frozen=True, slots=True)
class Consumer:
    """`pods`: those that have to acknowledge, listed again after they were asked.

    `restarted_for`: the revision in its template. `rolled_out`: no pod of an older template is left.
    """

    kind: str
    name: str
    mode: Mode
    found: bool = True
    pods: tuple[Pod, ...] = ()
    restarted_for: str = ""
    rolled_out: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    phase: Phase
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """`others`: pods that use the Secret and cannot acknowledge, such as a backup's.

    `asked`: the value of rotate-now. `accept`: the revision that a person declared right.
    """

    now: datetime
    name: str
    spec: Spec
    reported: Reported
    content: Content | None
    consumers: tuple[Consumer, ...]
    others: tuple[str, ...] = ()
    jobs: Mapping[str, Job] = field(default_factory=dict)
    pending: Pending | None = None
    asked: str = ""
    accept: str = ""


@dataclass(frozen=True, slots=True)
class NotifyPod:
    """So that its kubelet refreshes the mounted Secret at once."""

    pod: str
    revision: str


@dataclass(frozen=True, slots=True)
class RestartConsumer:
    kind: str
    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class Record:
    """Writes the state alone. `reason` and `note` become an event."""

    state: State
    reason: str
    note: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class StageKey:
    """Makes a key. Whoever does it adds its digest to `state.keys`."""

    key_id: str
    state: State


@dataclass(frozen=True, slots=True)
class PromoteKey:
    key_id: str
    state: State


@dataclass(frozen=True, slots=True)
class RetireKey:
    """Removes it from the Secret; a signing key's public half stays."""

    key_id: str
    state: State


@dataclass(frozen=True, slots=True)
class ReplaceValues:
    state: State


@dataclass(frozen=True, slots=True)
class MakePending:
    login: str


@dataclass(frozen=True, slots=True)
class DropPending:
    pass


@dataclass(frozen=True, slots=True)
class SwitchLogin:
    """The Secret gets the pending login, whose revision is `revision`."""

    login: str
    revision: str
    state: State


@dataclass(frozen=True, slots=True)
class StartJob:
    name: str
    purpose: Purpose
    arguments: tuple[str, ...]


SecretWrite = Record | StageKey | PromoteKey | RetireKey | ReplaceValues | SwitchLogin
Action = SecretWrite | NotifyPod | RestartConsumer | MakePending | DropPending | StartJob
