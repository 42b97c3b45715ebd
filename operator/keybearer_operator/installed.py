"""What the installation itself asks for: the objects in the files of a mounted ConfigMap.

The chart cannot bring them, because a release that brings a kind cannot use it yet. The ConfigMap owns them, so that
they go with an uninstall; what they rotate stays.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog
import yaml

from keybearer_operator.kube import CONFIG_MAPS, SECRET_ROTATIONS, ApiError, Kube, Object
from keybearer_operator.lease import Lease

log = structlog.get_logger(__name__)

LABEL: Final = "keybearer.dev/installed-by"
_LOOK_SECONDS = 30.0
# After an error, and while another holds the lease.
_LOOK_AGAIN_SECONDS = 2.0


async def keep(kube: Kube, lease: Lease, namespace: str, folder: Path, owner: str) -> None:
    """For ever. `owner` is the ConfigMap's name."""
    said = ""
    while True:
        made = False
        try:
            if lease.held():
                await make(kube, namespace, folder, owner)
                made, said = True, ""
        except (ApiError, OSError, yaml.YAMLError) as error:
            if str(error) != said:
                log.warning("installed.not_made", error=str(error))
            said = str(error)
        await asyncio.sleep(_LOOK_SECONDS if made else _LOOK_AGAIN_SECONDS)


async def make(kube: Kube, namespace: str, folder: Path, owner: str) -> None:
    """Applies what the files hold, and removes what they held before."""
    found = await kube.get(CONFIG_MAPS, namespace, owner)
    wanted = read(folder)
    for each in wanted:
        await kube.apply(SECRET_ROTATIONS, namespace, owned(each, found))
    names = {each["metadata"]["name"] for each in wanted}
    for there in await kube.list_objects(SECRET_ROTATIONS, namespace, f"{LABEL}={owner}"):
        if there["metadata"]["name"] not in names:
            await kube.delete(SECRET_ROTATIONS, namespace, there["metadata"]["name"])


def read(folder: Path) -> list[Object]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]


def owned(what: Object, owner: Object) -> Object:
    metadata = what["metadata"]
    labels = {**metadata.get("labels", {}), LABEL: owner["metadata"]["name"]}
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {**what, "metadata": {**metadata, "labels": labels, "ownerReferences": [reference]}}
