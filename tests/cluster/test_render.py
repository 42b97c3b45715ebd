"""What holds for every object of every value set, and what single values do."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import yaml
from cluster import render
from cluster.render import CHART, HOST, ROOT, SETS, containers, kind, label, named, pods, rendered

pytestmark = pytest.mark.cluster
every_set = pytest.mark.parametrize("name", SETS)


@every_set
def test_helm_finds_nothing_to_complain_about(name: str) -> None:
    files, values = SETS[name]
    done = render.helm("lint", "--strict", *render.arguments(values, files))

    assert done.returncode == 0, done.stdout + done.stderr


@every_set
def test_two_renders_are_the_same(name: str) -> None:
    files, values = SETS[name]

    assert render.render(values, files) == render.render(values, files)


@every_set
def test_pods_are_restricted(name: str) -> None:
    for owner, pod in pods(rendered(name)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, owner
        assert spec["securityContext"]["runAsUser"] > 0, owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, owner
        volumes = {kind for volume in spec.get("volumes", ()) for kind in volume.keys() - {"name"}}
        assert volumes <= {"emptyDir", "secret", "configMap", "projected", "persistentVolumeClaim"}, owner
        for container in containers(pod):
            context = container["securityContext"]
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, f"{owner} {container['name']}"
            assert not [port for port in container.get("ports", ()) if "hostPort" in port]


@every_set
def test_containers_are_sized_and_pinned(name: str) -> None:
    for owner, pod in pods(rendered(name)):
        for container in containers(pod):
            where = f"{owner} {container['name']}"
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), where
            assert "memory" in container["resources"]["limits"], where
            assert re.fullmatch(r"[\w./-]+:[\w.-]+", container["image"]), where
            assert not container["image"].endswith(":latest"), where
            assert container["imagePullPolicy"] == "IfNotPresent", where


@every_set
def test_only_the_secrets_job_and_the_operator_have_a_token(name: str) -> None:
    found = rendered(name)

    assert all(account["automountServiceAccountToken"] is False for account in kind(found, "ServiceAccount"))
    for _, pod in pods(found):
        assert pod["spec"]["automountServiceAccountToken"] is (label(pod, "component") in {"secrets", "operator"})
    rules = [rule for role in kind(found, "Role") for rule in role["rules"]]
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        if "secrets" in rule["resources"]:
            # Nobody lists them; those that may be read and changed are named.
            assert rule["verbs"] == ["create"] or (rule["resourceNames"] and not {"list", "watch"} & set(rule["verbs"]))
    assert not kind(found, "ClusterRole", "ClusterRoleBinding")


@every_set
def test_objects_are_labelled_and_in_the_namespace(name: str) -> None:
    for each in rendered(name):
        labels = {key.rpartition("/")[2] for key in each["metadata"]["labels"]}
        assert {"name", "instance", "version", "managed-by", "part-of", "chart"} <= labels
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["namespace"] == "kb"
    for _, pod in pods(rendered(name)):
        assert label(pod, "component")


@every_set
def test_selectors_find_their_pods_and_never_change(name: str) -> None:
    found = rendered(name)
    for each in kind(found, "Deployment", "StatefulSet"):
        selector = each["spec"]["selector"]["matchLabels"]
        assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        assert {key.rpartition("/")[2] for key in selector} == {"name", "instance", "component"}
    templates = [pod["metadata"]["labels"] for _, pod in pods(found)]
    selectors = [each["spec"]["selector"] for each in kind(found, "Service")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in kind(found, "PodDisruptionBudget")]
    for selector in selectors:
        assert [labels for labels in templates if selector.items() <= labels.items()], selector


@every_set
def test_what_goes_on_running_is_probed(name: str) -> None:
    for each in kind(rendered(name), "Deployment", "StatefulSet"):
        first, *sidecars = each["spec"]["template"]["spec"]["containers"]
        assert {"livenessProbe", "readinessProbe"} <= first.keys()
        # A sidecar that is not ready would take its pod out of service.
        assert all("livenessProbe" in sidecar and "readinessProbe" not in sidecar for sidecar in sidecars)


@every_set
def test_no_secret_is_rendered(name: str) -> None:
    assert not kind(rendered(name), "Secret")


@every_set
def test_what_is_mounted_is_a_volume_and_the_other_way_round(name: str) -> None:
    for owner, pod in pods(rendered(name)):
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", ())]
        if owner.startswith("StatefulSet/"):
            volumes.append("data")
        mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", ())}
        assert sorted(volumes) == sorted(mounted), owner


@every_set
def test_every_secret_is_made_or_given(name: str) -> None:
    found = rendered(name)
    made = {f"kb-keybearer-{suffix}" for suffix in secrets_made(found)}
    made |= {each["spec"]["target"]["name"] for each in kind(found, "ExternalSecret")}
    operators = {"kb-keybearer-postgres-superuser", "kb-keybearer-postgres-ca"} if kind(found, "Cluster") else set()
    given = set(re.findall(r'"((?:own-\w+|db|ca|providers|mail|more))"', json.dumps(SETS[name][1])))
    used: set[str] = set()
    for _, pod in pods(found):
        used |= set(re.findall(r'"secretName": "([^"]+)"', json.dumps(pod)))
        used |= set(re.findall(r'"secret(?:KeyRef|Ref)?": \{"name": "([^"]+)"', json.dumps(pod)))

    assert made <= used
    assert used <= made | operators | given


def secrets_made(found: list[render.Object]) -> list[str]:
    for each in kind(found, "Job"):
        if label(each, "component") == "secrets":
            words = each["spec"]["template"]["spec"]["containers"][0]["args"]
            return [word for before, word in pairwise(words) if before == "--secret"]
    return []


def test_a_small_installation_fits_two_processors() -> None:
    found = rendered("small")
    requests = [processors(pod) for owner, pod in pods(found) if owner.startswith(("Deployment", "StatefulSet", "Job"))]
    # A rollout has one more of backend and nginx; init containers come before the others and count alone.
    surge = [processors(each["spec"]["template"]) for each in kind(found, "Deployment")][:2]

    assert sum(requests) + sum(surge) <= 1.2
    assert all(each["spec"]["minReplicas"] == 1 for each in kind(found, "HorizontalPodAutoscaler"))


def processors(pod: render.Object) -> float:
    def cpu(container: render.Object) -> float:
        amount = str(container["resources"]["requests"]["cpu"])
        return float(amount.removesuffix("m")) / (1000 if amount.endswith("m") else 1)

    return max(
        sum(cpu(each) for each in pod["spec"]["containers"]),
        *(cpu(each) for each in pod["spec"].get("initContainers", ())),
        0,
    )


def test_nothing_is_dropped_when_backends_change() -> None:
    backend = named(rendered("default"), "Deployment", "kb-keybearer-backend")["spec"]
    pod = backend["template"]["spec"]
    container = pod["containers"][0]

    assert "replicas" not in backend
    assert backend["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5
    assert pod["terminationGracePeriodSeconds"] >= container["lifecycle"]["preStop"]["sleep"]["seconds"] + 40
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "/livez",
        "/readyz",
    }
    assert [port for port in container["ports"] if port["containerPort"] == 9090] == [
        {"name": "internal", "containerPort": 9090}
    ]
    services = kind(rendered("default"), "Service", "Ingress", "HTTPRoute")
    assert not re.search(r"9090|internal", json.dumps(services))
    scalers = {
        each["metadata"]["name"]: (each["spec"]["minReplicas"], each["spec"]["maxReplicas"])
        for each in kind(rendered("default"), "HorizontalPodAutoscaler")
    }
    assert scalers == {"kb-keybearer-backend": (3, 20), "kb-keybearer-frontend-proxy": (2, 10)}
    assert all(named(rendered("bare"), "Deployment", name)["spec"]["replicas"] == 1 for name in scalers)


def test_the_database_takes_strangers_by_tls_alone() -> None:
    config = named(rendered("default"), "ConfigMap", "kb-keybearer-postgres")["data"]
    rules = [line.split() for line in config["pg_hba.conf"].splitlines() if line and not line.startswith("#")]

    assert all(rule[-1] == "scram-sha-256" for rule in rules if rule[0] != "local")
    free = [rule[2:] for rule in rules if rule[0] == "local" and rule[-1] != "scram-sha-256"]
    assert free == [["postgres", "peer"], ["keybearer_exporter", "trust"]], "who is in the pod has the files too"
    assert all(rule[3] in {"127.0.0.1/32", "::1/128"} for rule in rules if rule[0] == "host")
    assert {rule[0] for rule in rules} == {"local", "host", "hostssl"}
    assert {"ssl = on", "shared_preload_libraries = 'pg_stat_statements'", "archive_mode = on"} <= {
        line.strip() for line in config["postgresql.conf"].splitlines()
    }
    settings = named(rendered("default"), "ConfigMap", "kb-keybearer-settings")["data"]
    assert "sslmode=verify-full" in settings["KEYBEARER_DATABASE_URL"]
    assert "@" not in settings["KEYBEARER_DATABASE_URL"]


def test_uninstalling_keeps_data_and_keys() -> None:
    found = rendered("default")

    claims = kind(rendered("everything"), "PersistentVolumeClaim")
    assert {each["metadata"]["name"] for each in claims} == {"kb-keybearer-backup", "kb-keybearer-erasures"}
    for each in claims:
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    retention = named(found, "StatefulSet", "kb-keybearer-postgres")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert set(secrets_made(found)) >= {"keyring", "signing"}
    assert kind(rendered("cnpg"), "Cluster")[0]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def programs(found: list[render.Object], kind_: str, name: str) -> dict[str, Any]:
    template = named(found, kind_, name)["spec"]
    template = template.get("jobTemplate", {"spec": template})["spec"]["template"]["spec"]
    return {each["name"]: each for each in [*template.get("initContainers", []), *template["containers"]]}


def test_deleted_people_stay_deleted_with_or_without_a_shared_volume() -> None:
    of_its_own = {each["metadata"]["name"] for each in kind(rendered("default"), "CronJob")}
    assert "kb-keybearer-erasures" in of_its_own
    backup = programs(rendered("default"), "CronJob", "kb-keybearer-backup")["backup"]
    assert backup["args"][-2:] == ["--erasures-to", "/backup/erasures"]
    drill = programs(rendered("default"), "CronJob", "kb-keybearer-restore-drill")["drill"]
    assert {"name": "KEYBEARER_ERASURE_LOG_DIR", "value": "/backup/erasures"} in drill["env"]

    written_by_servers = {each["metadata"]["name"] for each in kind(rendered("everything"), "CronJob")}
    assert "kb-keybearer-erasures" not in written_by_servers
    drill = programs(rendered("everything"), "CronJob", "kb-keybearer-restore-drill")["drill"]
    assert not [each for each in drill["env"] if each["name"] == "KEYBEARER_ERASURE_LOG_DIR"]
    assert "/var/lib/keybearer/erasures" in [each["mountPath"] for each in drill["volumeMounts"]]


@pytest.mark.parametrize(
    ("restore", "args"),
    [
        ({"archive": "newest"}, ["restore", "--from", "/backup/archives"]),
        (
            {"archive": "keybearer-20261123T020000Z.kbb"},
            ["restore", "/backup/archives/keybearer-20261123T020000Z.kbb"],
        ),
        ({"inPlace": True}, ["restore", "--in-place"]),
    ],
    ids=str,
)
def test_a_restore_is_a_job_that_backends_wait_for(restore: dict[str, Any], args: list[str]) -> None:
    found = render.objects(render.render(HOST | {"restore": restore}))
    (job,) = (each for each in kind(found, "Job") if "-restore-" in each["metadata"]["name"])
    run = programs(found, "Job", job["metadata"]["name"])
    assert list(run) == ["prepare", "restore"]
    assert run["restore"]["args"] == args
    deployment = named(found, "Deployment", "kb-keybearer-backend")["spec"]
    waits = programs(found, "Deployment", "kb-keybearer-backend")["wait-for-schema"]["args"]
    if "archive" in restore:
        assert deployment["strategy"] == {"type": "Recreate"}
        assert waits == ["migrate", "--wait", "--restored"]
    else:
        assert waits == ["migrate", "--wait"]


def test_no_autoscaler_and_a_restore_in_place_is_no_backend() -> None:
    values = {"backend": {"hpa": {"enabled": False}}, "restore": {"inPlace": True}}
    found = render.objects(render.render(HOST | values))
    assert named(found, "Deployment", "kb-keybearer-backend")["spec"]["replicas"] == 0


def jobs(values: dict[str, Any]) -> dict[str, str]:
    found = render.objects(render.render(HOST | values))
    return {label(each, "component") or "": each["metadata"]["name"] for each in kind(found, "Job")}


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"image": {"tag": "0.2.0"}}, ["migrate", "secrets"]),
        ({"migrate": {"resources": {"requests": {"cpu": "1"}}}}, ["migrate"]),
        ({"valkey": {"enabled": False}}, ["secrets"]),
        ({"secrets": {"databaseMigrator": {"existingSecret": "own"}}}, ["migrate", "secrets"]),
        ({"logLevel": "debug"}, []),
        ({"backend": {"hpa": {"max": 10}}}, []),
    ],
    ids=str,
)
def test_a_job_is_a_new_one_when_it_changed(values: dict[str, Any], changed: list[str]) -> None:
    before, after = jobs({}), jobs(values)

    assert {component for component in before if before[component] != after[component]} == set(changed)


def test_names_fit_whatever_the_release_is_called() -> None:
    found = render.objects(render.render(HOST | {"monitoring": {"enabled": True}}, release="r" * 53))

    limits = {"CronJob": 52, "NetworkPolicy": 253, "PrometheusRule": 253}
    assert not [each for each in found if len(each["metadata"]["name"]) > limits.get(each["kind"], 63)]
    assert len({(each["kind"], each["metadata"]["name"]) for each in found}) == len(found)


def test_hosts_drive_routes_and_certificates() -> None:
    values = {"hosts": ["kb.example.com", "acme.example.com"], "ingress": {"tls": {"issuer": "letsencrypt"}}}
    found = render.objects(render.render(values))
    ingress = kind(found, "Ingress")[0]

    assert [rule["host"] for rule in ingress["spec"]["rules"]] == values["hosts"]
    assert ingress["spec"]["tls"] == [{"secretName": "kb-keybearer-tls", "hosts": values["hosts"]}]
    assert ingress["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    assert (
        named(found, "ConfigMap", "kb-keybearer-settings")["data"]["KEYBEARER_PUBLIC_URL"] == "https://kb.example.com"
    )
    assert kind(rendered("gateway"), "HTTPRoute")[0]["spec"]["hostnames"] == ["kb.example.com"]
    assert not kind(rendered("gateway"), "Ingress")


def test_settings_are_ones_that_the_programs_read() -> None:
    pages = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    known = set(re.findall(r"(?m)^## ([A-Z_]+)$", pages))
    settings = named(rendered("everything"), "ConfigMap", "kb-keybearer-settings")["data"]
    front = named(rendered("default"), "Deployment", "kb-keybearer-frontend-proxy")
    script = (ROOT / "frontend-proxy" / "nginx" / "settings.sh").read_text(encoding="utf-8")
    variables = {each["name"] for each in front["spec"]["template"]["spec"]["containers"][0]["env"]}

    later = {"LIVEKIT_URL"}  # named in the contract; the backend of this version does not read it yet
    assert {name.removeprefix("KEYBEARER_") for name in settings} <= known | later
    assert variables <= set(re.findall(r"\$\{([A-Z][A-Z_]+):-", script))


def test_the_sandbox_stands_for_the_same_providers_as_on_one_machine() -> None:
    from keybearer.cli import sandbox

    data = named(rendered("development"), "ConfigMap", "kb-keybearer-sandbox-providers")["data"]
    for name, override in sandbox._overrides("http://127.0.0.1:8082").items():
        given = {"client_id": f"sandbox-{name}", "allow_addresses": ["127.0.0.1:8082"]}
        assert yaml.safe_load(data[f"{name}.yaml"]) == given | override
        assert data[f"{name}.secret"] == f"sbx_secret_{name}"


def test_the_page_of_values_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "charts" / "readme.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_every_value_is_described_and_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    page = (CHART / "README.md").read_text(encoding="utf-8")
    described = set(re.findall(r"(?m)^\| `([\w.]+)` \|", page))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    undescribed: list[str] = []

    def walk(value: Any, rules: dict[str, Any], path: str) -> None:
        rules = schema["definitions"][rules["$ref"].rpartition("/")[2]] if "$ref" in rules else rules
        if path in described:
            return
        if not isinstance(value, dict):
            undescribed.append(path)
            return
        assert rules["additionalProperties"] is False, path
        assert value.keys() == rules["properties"].keys() - {"global"}, path
        for key, inner in value.items():
            walk(inner, rules["properties"][key], f"{path}.{key}".lstrip("."))

    walk(values, schema, "")
    assert not undescribed
