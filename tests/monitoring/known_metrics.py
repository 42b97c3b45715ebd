"""Every metric that a rule or a dashboard may name, with its labels."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import keybearer
import keybearer_operator
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

Metrics = dict[str, frozenset[str]]

# Prometheus adds these to whatever it reads in a cluster.
TARGET = frozenset({"namespace", "pod", "container", "job", "instance"})

_ROTATION = frozenset({"namespace", "name", "type"})
_POOL = frozenset({"namespace", "name"})
OPERATOR: Metrics = {
    "keybearer_operator_leading": frozenset(),
    "keybearer_operator_queue_keys": frozenset({"kind"}),
    "keybearer_operator_reconciles_total": frozenset({"kind", "outcome"}),
    "keybearer_operator_reconcile_duration_seconds_bucket": frozenset({"kind", "le"}),
    "keybearer_rotation_step": _ROTATION | {"step"},
    "keybearer_rotation_age_seconds": _ROTATION,
    "keybearer_rotation_overdue": _ROTATION,
    "keybearer_rotation_degraded": _ROTATION,
    "keybearer_pool_jobs": _POOL,
    "keybearer_pool_workers": _POOL | {"state"},
    "keybearer_pool_desired_workers": _POOL,
}

# Of other programs, as their documentation has them: the postgres exporter, CloudNativePG, kube-state-metrics, kubelet
# and cert-manager.
OTHERS: Metrics = {
    "pg_up": frozenset(),
    "pg_stat_activity_count": frozenset({"datname", "state", "usename"}),
    "pg_settings_max_connections": frozenset(),
    "cnpg_collector_up": frozenset({"cluster"}),
    "kube_deployment_status_replicas_available": frozenset({"deployment"}),
    "kube_cronjob_created": frozenset({"cronjob"}),
    "kube_cronjob_status_last_successful_time": frozenset({"cronjob"}),
    "kube_job_failed": frozenset({"job_name", "condition"}),
    "kube_job_status_start_time": frozenset({"job_name"}),
    "kubelet_volume_stats_available_bytes": frozenset({"persistentvolumeclaim"}),
    "kubelet_volume_stats_capacity_bytes": frozenset({"persistentvolumeclaim"}),
    "certmanager_certificate_expiration_timestamp_seconds": frozenset({"name", "exported_namespace"}),
    "certmanager_certificate_renewal_timestamp_seconds": frozenset({"name", "exported_namespace"}),
}


@cache
def backend() -> Metrics:
    """What the registry of a process holds that has loaded all of the backend."""
    _load(keybearer)
    return dict(_registered())


@cache
def operator() -> Metrics:
    """What the operator's code has by now; a part of OPERATOR while it is being built."""
    before = backend()
    _load(keybearer_operator)
    return {name: labels for name, labels in _registered() if name not in before}


def _load(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # Those are run, not imported; and revisions of the schema are Alembic's to load.
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)


def _registered() -> Iterator[tuple[str, frozenset[str]]]:
    """No public function tells the labels of a metric that has no value yet."""
    for name, collector in REGISTRY._names_to_collectors.items():
        # Reserved by the library, but not what Prometheus gets to see.
        if name.endswith("_created") or (isinstance(collector, Counter | Histogram) and name == collector._name):
            continue
        labels = frozenset(collector._labelnames) if isinstance(collector, MetricWrapperBase) else frozenset()
        yield name, labels | {"le"} if name.endswith("_bucket") else labels
