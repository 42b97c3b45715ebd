"""How many workers, whom first, and what is reached from wherever a kill or another hand left the pool."""

import itertools
import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from keybearer_operator.pools import plan, template
from keybearer_operator.pools.model import Action, Apply, Deployment, Mark, Observed, Pod, Spec, Version

SPEC = Spec(
    agent_name="aide", template={"spec": {"containers": [{"name": "aide"}]}}, url="ws://livekit", credentials="livekit"
)


@dataclass
class Worker:
    """As livekit-agents' do: asked to end, it takes no new call and ends with its last one."""

    name: str
    version: str
    ready: bool = False
    terminating: bool = False
    silent: bool = False
    calls: int = 0
    cost: int = 0


@dataclass
class World:
    """A small cluster. Its Deployment takes workers away as Kubernetes does: not ready first, then the lower cost."""

    spec: Spec = SPEC
    deployment: Deployment | None = None
    recorded: int = 0
    workers: list[Worker] = field(default_factory=list)
    names: itertools.count = field(default_factory=itertools.count)

    def observed(self) -> Observed:
        return Observed(
            name="aide",
            uid="u1",
            spec=self.spec,
            deployment=self.deployment,
            deployment_generation=self.recorded,
            versions=tuple(Version(each, 1, "", 1) for each in {worker.version for worker in self.workers}),
            pods=tuple(seen_pod(worker) for worker in self.workers),
        )

    def carry_out(self, action: Action) -> None:
        match action:
            case Mark(pod, cost):
                next(worker for worker in self.workers if worker.name == pod).cost = cost
            case Apply(replicas):
                self.write(replicas, template.digest(self.observed()))
                self.recorded = self.deployment.generation

    def write(self, replicas: int, digest: str) -> None:
        before = self.deployment or Deployment(0, "", 0, "")
        if (before.replicas, before.digest) != (replicas, digest) or self.deployment is None:
            self.deployment = replace(before, replicas=replicas, digest=digest, generation=before.generation + 1)

    def turn(self) -> bool:
        """One step of the Deployment's controller, with maxUnavailable 0 and maxSurge 1. False: nothing to do."""
        before = [(worker.name, worker.terminating) for worker in self.workers]
        if self.deployment is not None:
            wanted, current = self.deployment.replicas, self.deployment.digest
            new = [worker for worker in self.workers if not worker.terminating and worker.version == current]
            old = [worker for worker in self.workers if not worker.terminating and worker.version != current]
            if len(new) > wanted:
                take_away(new)
            elif len(new) < wanted and len(new) + len(old) <= wanted:
                self.workers.append(Worker(f"w{next(self.names)}", current))
            elif old and sum(worker.ready for worker in (*new, *old)) > wanted:
                take_away(old)
        self.workers = [worker for worker in self.workers if not (worker.terminating and worker.calls == 0)]
        return before != [(worker.name, worker.terminating) for worker in self.workers]

    def settle(self) -> None:
        for _ in range(500):
            for worker in self.workers:
                worker.ready, worker.silent = True, False
            actions = plan.plan(self.observed())
            for action in actions:
                self.carry_out(action)
            if not self.turn() and not actions:
                return
        raise AssertionError("it never comes to rest")


def take_away(among: list[Worker]) -> None:
    min(among, key=lambda worker: (worker.ready, worker.cost)).terminating = True


def seen_pod(worker: Worker) -> Pod:
    return Pod(
        worker.name,
        worker.version,
        ready=worker.ready,
        running=True,
        terminating=worker.terminating,
        active_jobs=None if worker.silent else worker.calls,
        cost=worker.cost,
    )


def seen(
    spec: Spec, *, replicas: int = 0, jobs: tuple[int | None, ...] = (), draining: tuple[int, ...] = ()
) -> Observed:
    pods = [Pod(f"w{number}", "v1", True, True, False, each) for number, each in enumerate(jobs)]
    pods += [Pod(f"d{number}", "v1", True, True, True, each) for number, each in enumerate(draining)]
    known = Observed(name="aide", uid="u1", spec=spec, pods=tuple(pods), deployment_generation=1)
    return replace(known, deployment=Deployment(replicas, template.digest(known), 1, "7"))


@pytest.mark.parametrize(
    ("changes", "jobs", "draining", "workers"),
    [
        ({}, (), (), 1),
        ({"warm_buffer": 0, "minimum": 0, "replicas": 0}, (), (), 0),
        ({"replicas": 3}, (), (), 3),
        ({}, (3,), (), 1),
        ({}, (4,), (), 2),
        ({"warm_buffer": 4}, (4,), (), 2),
        ({"warm_buffer": 5}, (4,), (), 3),
        ({}, (1,), (7,), 3),  # what drains counts: its callers may call again
        ({"maximum": 2}, (4, 4, 4), (), 2),
        ({"maximum": 2, "replicas": 9}, (), (), 2),
        ({"minimum": 4}, (), (), 4),
        ({"max_workers": 2}, (4, 4, 4), (), 2),
        ({"max_active_jobs": 9}, (4, 4, 4), (), 3),
        ({"max_active_jobs": 8}, (4, 4, 4), (), 2),
        ({"suspend": True, "minimum": 4}, (4, 4), (), 0),
        ({"minimum": 5, "max_workers": 2}, (), (), 2),  # an older schema let this through
        ({"jobs_per_worker": 1, "warm_buffer": 2}, (1, 1, 1), (), 5),
    ],
)
def test_how_many_workers(changes, jobs, draining, workers):
    assert plan.wanted(seen(replace(SPEC, **changes), jobs=jobs, draining=draining)).workers == workers


@pytest.mark.parametrize(
    ("replicas", "jobs", "workers"),
    [
        (3, (None, 0, 0), 2),
        (3, (None, None, 0), 3),
        (3, (None, None, None), 3),
        (1, (None,), 1),
        (2, (None, 4), 2),
        (2, (4, 4), 3),
    ],
)
def test_a_silent_worker_keeps_the_pool_from_shrinking_and_never_makes_it_grow(replicas, jobs, workers):
    assert plan.wanted(seen(SPEC, replicas=replicas, jobs=jobs)).workers == workers


def test_the_workers_with_the_fewest_calls_go_first():
    pool = seen(replace(SPEC, maximum=2), replicas=4, jobs=(3, 0, None, 1))
    assert plan.plan(pool) == [Mark("w0", 3), Mark("w2", 4), Mark("w3", 1), Apply(2, "7")]


@pytest.mark.parametrize(
    ("change", "actions"),
    [
        ({"deployment": None}, [Apply(1)]),
        ({"deleting": True, "deployment": None}, []),
        ({"deployment_generation": 3}, [Apply(1)]),
        ({"deployment": Deployment(5, "", 1, "9", owned=False)}, []),
        ({"spec": replace(SPEC, agent_name="other")}, [Apply(1)]),
        ({"spec": replace(SPEC, max_surge=2)}, [Apply(1)]),
        ({"spec": replace(SPEC, replicas=2)}, [Apply(2)]),
        ({}, []),
    ],
)
def test_what_is_written(change, actions):
    assert list(plan.plan(replace(seen(SPEC, replicas=1, jobs=(0,)), **change))) == actions


numbers = st.integers(0, 30)


@given(
    replicas=numbers,
    jobs=st.lists(st.integers(0, 5), max_size=8),
    places=st.integers(1, 7),
    buffer=numbers,
    minimum=numbers,
    more=numbers,
    budget=st.none() | st.integers(1, 40),
)
def test_the_rule_holds_for_all_numbers(replicas, jobs, places, buffer, minimum, more, budget):
    spec = replace(
        SPEC,
        replicas=replicas,
        jobs_per_worker=places,
        warm_buffer=buffer,
        minimum=minimum,
        maximum=minimum + more,
        max_workers=budget and budget + minimum,
    )
    most = min(spec.maximum, spec.max_workers or spec.maximum)
    demand = max(replicas, math.ceil((sum(jobs) + buffer) / places))
    assert plan.wanted(seen(spec, jobs=tuple(jobs))) == plan.Wanted(demand, max(minimum, min(demand, most)))


class AnyHistory(RuleBasedStateMachine):
    """Calls, edits by people, controllers at work, an operator that is killed after any of its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(replace(SPEC, replicas=4))
        self.world.settle()

    @rule(kept=st.sampled_from([0, 1, 2, 9, 9, 9]))
    def operator_works_and_may_be_killed(self, kept):
        before = self.world.observed()
        for action in plan.plan(before)[:kept]:
            if isinstance(action, Apply) and before.deployment and action.replicas < before.deployment.replicas:
                self.shrinks(before, action)
            self.world.carry_out(action)

    def shrinks(self, before: Observed, action: Apply) -> None:
        """Only below what known and feared calls need, and with every worker's cost true at that moment."""
        places = self.world.spec.jobs_per_worker
        silent = sum(pod.active_jobs is None for pod in before.workers)
        feared = before.active_jobs + silent * places
        needed = math.ceil((feared + self.world.spec.warm_buffer) / places)
        assert self.world.spec.suspend or action.replicas >= min(needed, plan.ceiling(self.world.spec))
        for worker in self.world.workers:
            assert worker.terminating or worker.cost == (places if worker.silent else worker.calls)

    @rule(times=st.integers(1, 5))
    def controllers_work(self, times):
        for _ in range(times):
            self.world.turn()

    @rule()
    def workers_become_ready(self):
        for worker in self.world.workers:
            worker.ready = True

    @rule(which=st.randoms(use_true_random=False), times=st.integers(1, 6))
    def calls_come(self, which, times):
        for _ in range(times):
            free = [
                worker
                for worker in self.world.workers
                if worker.ready and not worker.terminating and worker.calls < self.world.spec.jobs_per_worker
            ]
            if free:
                which.choice(free).calls += 1

    @rule(which=st.randoms(use_true_random=False))
    def a_call_ends(self, which):
        if busy := [worker for worker in self.world.workers if worker.calls]:
            which.choice(busy).calls -= 1

    @rule(which=st.randoms(use_true_random=False), silent=st.booleans())
    def the_network_changes(self, which, silent):
        if self.world.workers:
            which.choice(self.world.workers).silent = silent

    @rule(
        minimum=st.integers(0, 3), more=st.integers(0, 4), replicas=st.integers(0, 8), suspend=st.booleans(),
        budget=st.none() | st.integers(3, 9), image=st.sampled_from(["a", "b"]),
    )  # fmt: skip
    def somebody_edits_the_pool(self, minimum, more, replicas, suspend, budget, image):
        self.world.spec = replace(
            self.world.spec,
            minimum=minimum,
            maximum=minimum + more,
            replicas=replicas,
            suspend=suspend,
            max_workers=budget,
            template={"spec": {"containers": [{"name": "aide", "image": image}]}},
        )

    @rule(replicas=st.integers(0, 2))
    def an_autoscaler_lowers_the_floor(self, replicas):
        self.world.spec = replace(self.world.spec, minimum=0, replicas=replicas, suspend=False)

    @rule(replicas=st.integers(0, 6), digest=st.sampled_from(["", "theirs"]))
    def somebody_edits_the_deployment(self, replicas, digest):
        if self.world.deployment is not None:
            self.world.write(replicas, digest or self.world.deployment.digest)

    @rule()
    def somebody_edits_what_no_digest_tells(self):
        if self.world.deployment is not None:
            self.world.deployment = replace(self.world.deployment, generation=self.world.deployment.generation + 1)

    @rule()
    def somebody_deletes_the_deployment(self):
        self.world.deployment = None
        for worker in self.world.workers:
            worker.terminating = True

    @rule()
    def all_comes_to_rest(self):
        """And rests at the wanted number of the newest version; the calls on draining workers go on."""
        self.world.settle()
        assert self.world.recorded == self.world.deployment.generation
        there = [worker for worker in self.world.workers if not worker.terminating]
        assert len(there) == plan.wanted(self.world.observed()).workers
        assert {worker.version for worker in there} <= {template.digest(self.world.observed())}

    @invariant()
    def a_second_look_asks_for_the_same(self):
        assert plan.plan(self.world.observed()) == plan.plan(self.world.observed())


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
