"""A simulated cluster: pods, Jobs, a Secret and a database, in which the planner's actions are carried out."""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keybearer_operator.rotation import model, plan, report
from keybearer_operator.rotation.model import Phase, Purpose, Step, Type

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Changed(Exception):
    """The Secret is not the one that was seen."""


@dataclass
class SimulatedPod:
    """`holds`: what of the Secret it has read; `running` while it must acknowledge."""

    holds: "Snapshot"
    restarted_for: str = ""
    notified: str = ""


@dataclass(frozen=True)
class Snapshot:
    keys: frozenset[str]
    primary: str
    revision: str
    wanted: str


@dataclass
class SimulatedJob:
    purpose: Purpose
    arguments: tuple[str, ...]
    primary: str
    phase: Phase = Phase.RUNNING
    message: str = ""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """A Secret, pods, Jobs and a database, as far as a rotation can see them. It fails when a key is endangered."""

    type: Type
    mode: model.Mode = model.Mode.HOT_RELOAD
    retain: int = 0
    interval: timedelta | None = None
    now: datetime = START
    version: int = 1
    keys: dict[str, str] = field(default_factory=lambda: {"k1": digest("k1")})
    public: set[str] = field(default_factory=set)
    primary: str = "k1"
    values: int = 0
    state: model.State | None = None
    pending: model.Pending | None = None
    login: str = "keybearer_app_a"
    logins: dict[str, str] = field(default_factory=dict)
    password: str = "p0"
    passwords: int = 0
    rows: list[str] = field(default_factory=lambda: ["k1", "k1", "k1"])
    kek_rows: set[str] = field(default_factory=lambda: {"k1"})
    pods: dict[str, SimulatedPod] = field(default_factory=dict)
    made: int = 0
    jobs: dict[str, SimulatedJob] = field(default_factory=dict)
    others: int = 0
    reported: model.Reported = field(default_factory=model.Reported)
    template: str = ""
    asked: str = ""
    accept: str = ""
    suspend: bool = False
    edited: bool = False
    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.type is Type.POSTGRES_USER:
            self.keys, self.primary, self.rows = {}, self.login, []
            self.logins = {model.NEXT_LOGIN[self.login]: "", self.login: self.password}
        if self.type is Type.OPAQUE_SECRET:
            self.keys, self.primary, self.rows, self.mode = {}, "", [], model.Mode.RESTART
        if self.type is Type.SIGNING_KEYRING:
            self.rows = []
        if not self.type.is_keyring:
            self.retain = 0
        for _ in range(0 if self.is_of_jobs_alone else 3):
            self.pod_comes()

    @property
    def is_of_jobs_alone(self) -> bool:
        return self.type is Type.POSTGRES_USER and model.NEXT_LOGIN[self.login] == self.login

    @property
    def revision(self) -> str:
        return digest(f"{sorted(self.keys.items())} {sorted(self.public)} {self.primary} {self.password} {self.values}")

    @property
    def wanted(self) -> str:
        return self.primary if self.type is Type.POSTGRES_USER else self.revision

    def snapshot(self) -> Snapshot:
        return Snapshot(frozenset(self.keys), self.primary, self.revision, self.wanted)

    def spec(self) -> model.Spec:
        return model.Spec(
            type=self.type,
            interval=self.interval,
            windows=(),
            minimum=2 * MINUTE,
            keep=5 * MINUTE,
            maximum=15 * MINUTE,
            batch_size=10,
            rate=0,
            retain=self.retain,
            suspend=self.suspend,
        )

    def seen(self) -> model.Observed:
        restarts = self.mode is model.Mode.RESTART
        pods = tuple(
            model.Pod(name, pod.restarted_for if restarts else pod.holds.wanted, pod.notified)
            for name, pod in self.pods.items()
        )
        rolled_out = all(pod.restarted_for == self.template for pod in self.pods.values())
        consumer = model.Consumer(
            "Deployment", "backend", self.mode, pods=pods, restarted_for=self.template, rolled_out=rolled_out
        )
        problem = "" if self.primary in self.keys or not self.type.is_keyring else "`primary` names no key."
        content = model.Content(
            version=str(self.version),
            created=START,
            revision=self.revision,
            wanted=self.wanted,
            primary=self.primary,
            keys=dict(self.keys),
            public=frozenset(self.public),
            state=self.state,
            problem=problem,
        )
        return model.Observed(
            now=self.now,
            name="rotation",
            spec=self.spec(),
            reported=self.reported,
            content=content,
            consumers=() if self.is_of_jobs_alone else (consumer,),
            others=tuple(f"backup-{n}" for n in range(self.others)),
            jobs={name: model.Job(job.phase, job.message) for name, job in self.jobs.items()},
            pending=self.pending,
            asked=self.asked,
            accept=self.accept,
        )

    # What the operator does.

    def reconcile(self, *, at_most: int = 99, says: bool = True) -> bool:
        """Whether anything was done. Killed after `at_most` actions; `says`: it lived to write the status."""
        return self.carry_out(self.seen(), at_most=at_most, says=says)

    def carry_out(self, seen: model.Observed, *, at_most: int = 99, says: bool = True) -> bool:
        actions = plan.plan(seen)
        for action in actions[:at_most]:
            try:
                self.act(action, seen)
            except Changed:
                return True
        if says:
            self.say()
        return bool(actions)

    def say(self) -> None:
        seen = self.seen()
        fields = report.report(seen).fields
        converged = plan.converged(seen)
        self.reported = model.Reported(
            active=fields.get("activeKeyID"),
            staged=fields.get("stagedKeyID"),
            previous=tuple(fields.get("previousKeyIDs", ())),
            rotated=datetime.fromisoformat(fields["lastRotationTime"]) if "lastRotationTime" in fields else None,
            unconverged_since=None if converged else self.reported.unconverged_since or self.now,
        )

    def act(self, action: model.Action, seen: model.Observed) -> None:
        match action:
            case model.NotifyPod():
                if action.pod in self.pods:
                    self.pods[action.pod].notified = action.revision
            case model.RestartConsumer():
                self.template = action.revision
            case model.StartJob():
                if action.name not in self.jobs:
                    self.jobs[action.name] = SimulatedJob(action.purpose, action.arguments, self.primary)
            case model.MakePending():
                if self.pending is None or self.pending.login != action.login:
                    self.passwords += 1
                    self.pending = model.Pending(action.login, f"p{self.passwords}")
            case model.DropPending():
                self.pending = None
            case _:
                self.write(action, seen)

    def write(self, action: model.SecretWrite, seen: model.Observed) -> None:
        assert seen.content is not None
        if seen.content.version != str(self.version):
            raise Changed
        state = action.state
        match action:
            case model.StageKey():
                assert action.key_id not in self.keys
                self.keys[action.key_id] = digest(action.key_id)
                state = dataclasses.replace(state, keys={**state.keys, action.key_id: self.keys[action.key_id]})
                self.begun.append(action.key_id)
            case model.PromoteKey():
                lacking = [name for name, pod in self.pods.items() if action.key_id not in pod.holds.keys]
                assert self.edited or not lacking, f"{lacking} lack the new primary"
                self.primary = action.key_id
                self.done.append(action.key_id)
            case model.RetireKey():
                self.retire(action.key_id)
            case model.SwitchLogin():
                assert self.pending is not None
                assert self.logins[action.login] == self.pending.revision, "nobody could sign in with it"
                self.primary, self.password = action.login, self.pending.revision
                self.done.append(action.login)
            case model.ReplaceValues():
                self.values += 1
                self.done.append(state.active)
            case model.Record() if state.staged is not None and (self.state is None or self.state.staged is None):
                self.begun.append(state.staged)
        self.state = state
        self.version += 1

    def retire(self, key_id: str) -> None:
        assert key_id != self.primary
        assert key_id not in self.rows, "a row needs the key that is retired"
        using = [name for name, pod in self.pods.items() if pod.holds.primary == key_id]
        assert not using, f"{using} would encrypt with the retired key"
        del self.keys[key_id]
        if self.type is Type.SIGNING_KEYRING:
            self.public.add(key_id)

    # What others do.

    def pod_comes(self) -> None:
        if self.is_of_jobs_alone:
            return
        self.made += 1
        self.pods[f"pod-{self.made}"] = SimulatedPod(self.snapshot(), self.template)

    def pod_goes(self, which: int) -> None:
        if self.pods:
            del self.pods[sorted(self.pods)[which % len(self.pods)]]

    def pod_follows(self, which: int) -> None:
        """Its kubelet brought the Secret; with mode Restart, it is replaced."""
        if not self.pods:
            return
        name = sorted(self.pods)[which % len(self.pods)]
        if self.mode is model.Mode.RESTART:
            if self.pods[name].restarted_for != self.template:
                del self.pods[name]
                self.pod_comes()
        else:
            self.pods[name].holds = self.snapshot()

    def pod_writes(self, which: int) -> None:
        if not self.pods or self.type is not Type.AES_KEYRING:
            return
        pod = self.pods[sorted(self.pods)[which % len(self.pods)]]
        if pod.holds.primary not in self.kek_rows and any(
            f"retired {pod.holds.primary}" in job.message for job in self.jobs.values()
        ):
            pod.holds = self.snapshot()  # the database refuses the old key: read the keyring again
        self.kek_rows.add(pod.holds.primary)
        self.rows.append(pod.holds.primary)

    def job_ends(self, which: int, *, well: bool = True) -> None:
        running = sorted(name for name, job in self.jobs.items() if job.phase is Phase.RUNNING)
        if not running:
            return
        job = self.jobs[running[which % len(running)]]
        job.phase = Phase.SUCCEEDED if well and self.job_works(job) else Phase.FAILED

    def job_works(self, job: SimulatedJob) -> bool:
        match job.purpose:
            case Purpose.REWRAP:
                self.kek_rows.add(job.primary)
                self.rows = [job.primary for _ in self.rows]
            case Purpose.RETIRE:
                key_id = job.arguments[-1]
                if key_id in self.rows:
                    return False
                self.kek_rows.discard(key_id)
                job.message = f"retired {key_id}"
            case Purpose.SET_LOGIN:
                if self.pending is None or self.pending.login != job.arguments[-1]:
                    return False
                self.logins[self.pending.login] = self.pending.revision
            case Purpose.END_LOGIN:
                login = job.arguments[3]
                if login != self.primary:  # the program itself would end the sessions that are left
                    assert all(pod.holds.primary != login for pod in self.pods.values()), "a pod still signs in with it"
                    self.logins[login] = ""
        return True

    def happens(self, event: tuple[str, int]) -> None:
        name, number = event
        match name:
            case "operator":
                self.reconcile()
            case "killed":
                self.reconcile(at_most=number, says=False)
            case "follows":
                self.pod_follows(number)
            case "comes":
                self.pod_comes()
            case "goes":
                self.pod_goes(number)
            case "writes":
                self.pod_writes(number)
            case "job done":
                self.job_ends(number)
            case "job failed":
                self.job_ends(number, well=False)
            case "backup":
                self.others = number % 2
            case "time":
                self.now += number * MINUTE
            case "clock back":
                self.now -= number * 60 * MINUTE
            case "ask":
                self.asked = f"ask-{number}"

    def settle(self) -> None:
        """From now on everything works; so all must come to its end."""
        self.others, self.suspend = 0, False
        for _ in range(200):
            acted = self.reconcile()
            for which in range(len(self.pods)):
                self.pod_follows(which)
            busy = any(job.phase is Phase.RUNNING for job in self.jobs.values())
            self.job_ends(0)
            self.now += MINUTE
            seen = self.seen()
            if not (acted or busy or plan.plan(seen)) and plan.step(seen) is Step.IDLE and plan.converged(seen):
                break
        self.say()

    def check_readable(self) -> None:
        """Whatever was written, every pod can read it."""
        if self.type is Type.AES_KEYRING and not self.edited:
            for pod in self.pods.values():
                assert set(self.rows) <= pod.holds.keys

    def check_settled(self) -> None:
        seen = self.seen()
        assert plan.plan(seen) == []
        assert plan.step(seen) is Step.IDLE
        said = report.report(seen)
        assert {each.type: each.status for each in said.conditions} == {
            "Ready": True,
            "Rotating": False,
            "ConsumersConverged": True,
            "RewrapComplete": True,
            "Degraded": False,
        }, said.conditions
        assert self.state is not None
        assert self.state.active == self.primary or self.type is Type.OPAQUE_SECRET
        assert len(self.state.previous) <= self.retain
        assert set(self.rows) <= {self.primary}
        if self.type.is_keyring and not self.edited:
            assert set(self.keys) == {self.primary, *self.state.previous}
        if self.type is Type.POSTGRES_USER:
            assert self.pending is None
            assert self.logins[self.primary] == self.password
            if self.done:
                assert [login for login, password in self.logins.items() if password] == [self.primary]
