"""Who may talk to whom, worked out from the rendered policies and compared with what is written here."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from cluster.render import SETS, Object, kind, label, pods, rendered

pytestmark = pytest.mark.cluster

# Sources, targets, ports. `all` are the components of the release; `outside` is everybody else.
DEFAULT = """
all                                                    -> dns node-dns              UDP/53 TCP/53
outside                                                -> frontend-proxy            TCP/8080
frontend-proxy                                         -> backend                   TCP/8080
backend migrate prune keys backup restore-drill test   -> postgres                  TCP/5432
backend                                                -> valkey                    TCP/6379
backend                                                -> internet                  TCP/443
secrets operator                                       -> internet private metadata TCP/443 TCP/6443
secrets operator                                       -> office node-dns           TCP/443 TCP/6443
operator                                               -> backend                   TCP/9090
operator                                               -> worker                    TCP/8081
test                                                   -> frontend-proxy            TCP/8080
test                                                   -> outside                   TCP/80 TCP/443
"""
EVERYTHING = """
agent                                                  -> backend                   TCP/8080
backend                                                -> office                    TCP/587
backend                                                -> livekit                   TCP/7880
outside                                                -> livekit                   TCP/7880 TCP/7881 UDP/7882
livekit                                                -> internet private metadata any
livekit                                                -> office node-dns           any
livekit                                                -> internet6 private6        any
backend                                                -> internet internet6        TCP/465 TCP/587
backend                                                -> internet6                 TCP/443
secrets operator                                       -> internet6 private6        TCP/443 TCP/6443
monitoring                                             -> backend operator          TCP/9090
monitoring                                             -> postgres                  TCP/9187
monitoring                                             -> valkey                    TCP/9121
"""
DEVELOPMENT = """
backend test                                           -> sandbox                   TCP/8082
"""


@dataclass(frozen=True)
class End:
    """Someone who talks or is talked to: a pod, or an address outside of the cluster."""

    name: str
    address: str = ""
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict, hash=False)


OUTSIDE = [
    End("internet", address="203.0.113.9"),
    End("internet6", address="2001:db8::9"),
    End("private6", address="fd00::9"),
    End("private", address="10.1.2.3"),
    End("office", address="10.9.1.1"),
    End("metadata", address="169.254.169.254"),
    End("node-dns", address="169.254.20.10"),
    End("dns", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    End("monitoring", namespace="monitoring", labels={"app": "prometheus"}),
    End("agent", namespace="kb", labels={"app": "agent"}),
    End("stranger", namespace="kb", labels={"app": "stranger"}),
    End(
        "worker",
        namespace="kb",
        labels={"keybearer.dev/role": "worker"},
    ),
    # As labelled as ours, in another namespace.
    End(
        "impostor",
        namespace="other",
        labels={
            "app.kubernetes.io/name": "keybearer",
            "app.kubernetes.io/instance": "kb",
            "app.kubernetes.io/component": "backend",
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "table"),
    [("default", DEFAULT), ("everything", DEFAULT + EVERYTHING), ("development", DEFAULT + DEVELOPMENT)],
)
def test_the_paths_are_these_and_no_others(name: str, table: str) -> None:
    ours = components(rendered(name))

    assert flows(rendered(name)) == shortened(set(written(table, ours)))


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"bare"}))
def test_nobody_else_reaches_database_cache_and_internal_ports(name: str) -> None:
    found = flows(rendered(name))

    # CloudNativePG's operator asks its servers at 8000.
    assert {source for source, target, port in found if target == "postgres" and port != "TCP/8000"} <= {
        *("backend", "migrate", "prune", "keys", "backup", "restore-drill", "test", "monitoring")
    }
    assert {source for source, target, _ in found if target == "valkey"} <= {"backend", "monitoring"}
    assert {source for source, _, port in found if port == "TCP/9090"} <= {"monitoring", "operator"}
    assert ("backend", "metadata", "TCP/443") not in found
    assert ("backend", "private", "TCP/443") not in found


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"bare"}))
def test_each_policy_lets_something_through_and_says_what(name: str) -> None:
    for policy in kind(rendered(name), "NetworkPolicy"):
        title = policy["metadata"]["name"].removeprefix("kb-keybearer-")
        spec = policy["spec"]
        if title == "deny-all":
            assert spec["policyTypes"] == ["Ingress", "Egress"]
            assert not spec.keys() & {"ingress", "egress"}
            continue
        (direction,) = spec["policyTypes"]
        end, word, _ = re.fullmatch(r"(.+?)-(to|from)-(.+)", title).groups()  # type: ignore[union-attr]
        assert word == {"Egress": "to", "Ingress": "from"}[direction]
        assert spec[direction.lower()]
        assert end in {"all", "postgres", spec["podSelector"]["matchLabels"].get("app.kubernetes.io/component")}


def written(table: str, ours: list[End]) -> Iterator[tuple[str, str, str]]:
    groups = {"all": [end.name for end in ours], "outside": [end.name for end in OUTSIDE]}
    names = {end.name for end in [*ours, *OUTSIDE]}
    for line in table.strip().splitlines():
        sources, _, rest = line.partition("->")
        targets = [word for word in rest.split() if "/" not in word and word != "any"]
        ports = [word for word in rest.split() if "/" in word or word == "any"]
        for source in (name for word in sources.split() for name in groups.get(word, [word])):
            for target in (name for word in targets for name in groups.get(word, [word])):
                if {source, target} <= names:
                    yield from ((source, target, port) for port in ports)


def flows(found: list[Object]) -> set[tuple[str, str, str]]:
    ours = components(found)
    policies = kind(found, "NetworkPolicy")
    ports = {"any", *(port for policy in policies for rule in rules(policy) for port in ports_of(rule))}
    return shortened(
        {
            (source.name, target.name, port)
            for source in [*ours, *OUTSIDE]
            for target in [*ours, *OUTSIDE]
            if source != target and (source in ours or target in ours)
            for port in ports
            if allowed(policies, "Egress", source, target, port) and allowed(policies, "Ingress", target, source, port)
        }
    )


def shortened(found: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Without single ports where any will do."""
    return {(a, b, port) for a, b, port in found if port == "any" or (a, b, "any") not in found}


def components(found: list[Object]) -> list[End]:
    ends = {label(pod, "component") or "": pod["metadata"]["labels"] for _, pod in pods(found)}
    cnpg = [End("postgres", namespace="kb", labels={"cnpg.io/cluster": "kb-keybearer-postgres"})]
    return [
        *(End(name, namespace="kb", labels=labels) for name, labels in ends.items()),
        *(cnpg if kind(found, "Cluster") else ()),
    ]


def rules(policy: Object) -> list[Object]:
    return [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]


def ports_of(rule: Object) -> list[str]:
    return [f"{port.get('protocol', 'TCP')}/{port['port']}" for port in rule.get("ports", ())]


def allowed(policies: list[Object], direction: str, end: End, peer: End, port: str) -> bool:
    """As Kubernetes has it: everything where no policy is, and else what any rule of any policy says."""
    mine = [
        policy["spec"]
        for policy in policies
        if end.namespace == "kb"
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], end.labels)
    ]
    side = "from" if direction == "Ingress" else "to"
    return not mine or any(
        ("ports" not in rule or port in ports_of(rule))
        and (side not in rule or any(is_peer(p, peer) for p in rule[side]))
        for spec in mine
        for rule in spec.get(direction.lower(), ())
    )


def is_peer(rule: Object, end: End) -> bool:
    if "ipBlock" in rule:
        return bool(end.address) and inside(end.address, [rule["ipBlock"]["cidr"]], rule["ipBlock"].get("except", []))
    here = {"kubernetes.io/metadata.name": end.namespace}
    namespace = selects(rule["namespaceSelector"], here) if "namespaceSelector" in rule else end.namespace == "kb"
    return bool(end.namespace) and namespace and selects(rule.get("podSelector", {}), end.labels)


def inside(address: str, networks: list[str], exceptions: list[str]) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(each) for each in networks) and not any(
        found in ipaddress.ip_network(each) for each in exceptions
    )


def selects(selector: Object, labels: dict[str, str]) -> bool:
    assert not selector.keys() - {"matchLabels"}, "the chart writes no other selectors"
    return bool(selector.get("matchLabels", {}).items() <= labels.items())
