"""The names that the operator gives and reads, in one place."""

from typing import Final, NamedTuple

GROUP: Final = "keybearer.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
MANAGER: Final = "keybearer-operator"
"""Our field manager, the component of our events, and the value of the label `app.kubernetes.io/managed-by`."""

POOL: Final = "keybearer.dev/agentpool"
"""Label of a pool's Deployment, ReplicaSets and workers: the pool's name."""

ROLE: Final = "keybearer.dev/role"
"""Label of a pool's workers, by which the chart's network policy lets the operator ask them."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"


class Key(NamedTuple):
    """Which object of a kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
