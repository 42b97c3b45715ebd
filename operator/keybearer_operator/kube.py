"""Typed access to the API server, the only one that reconcilers use.

Over httpx2 rather than the `kubernetes` package: that one blocks a thread a call and loads models of each kind, while a
reconciler needs nine verbs on plain dicts. Who we are comes from kopf's login, so both have one identity.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import kopf

from keybearer_operator import names

Object = dict[str, Any]
"""An object of the API, as its JSON."""

SECONDS: Final = 10
"""How long one call may take."""

_TOKEN_SECONDS = 60
_EVENT_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, all of them namespaced."""

    api_version: str
    plural: str
    kind: str

    @property
    def prefix(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        parts = (self.prefix, "namespaces", namespace, self.plural, name, subresource)
        return "/".join(part for part in parts if part)


PODS: Final = Resource("v1", "pods", "Pod")
SECRETS: Final = Resource("v1", "secrets", "Secret")
CONFIG_MAPS: Final = Resource("v1", "configmaps", "ConfigMap")
EVENTS: Final = Resource("v1", "events", "Event")
DEPLOYMENTS: Final = Resource("apps/v1", "deployments", "Deployment")
REPLICA_SETS: Final = Resource("apps/v1", "replicasets", "ReplicaSet")
STATEFUL_SETS: Final = Resource("apps/v1", "statefulsets", "StatefulSet")
JOBS: Final = Resource("batch/v1", "jobs", "Job")
LEASES: Final = Resource("coordination.k8s.io/v1", "leases", "Lease")
SECRET_ROTATIONS: Final = Resource(names.API_VERSION, "secretrotations", "SecretRotation")
AGENT_POOLS: Final = Resource(names.API_VERSION, "agentpools", "AgentPool")


class ApiError(Exception):
    """The API server refuses, or does not answer. `status` is its HTTP status, 0 where there was no answer.

    ├── NotFound       no such object, namespace or kind
    ├── Conflict       it changed meanwhile, or is there already
    ├── Forbidden      our Role lacks this
    ├── Invalid        it will never take this object
    └── Unavailable    trying again later helps
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class Forbidden(ApiError):
    pass


class Invalid(ApiError):
    pass


class Unavailable(ApiError):
    pass


class Kube:
    """Every call may raise an ApiError. Its messages name the object, never what was sent: that may be a Secret."""

    def __init__(self, client: httpx2.AsyncClient, login: Callable[[], kopf.ConnectionInfo]) -> None:
        self._client = client
        self._login = login
        self._headers: dict[str, str] = {}
        self._headers_until = 0.0

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        return await self._call("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        try:
            return await self.get(resource, namespace, name)
        except NotFound:
            return None

    async def list_objects(self, resource: Resource, namespace: str, labels: str = "") -> list[Object]:
        """Those that the label selector chooses, in the server's present state, all pages of them."""
        found, _ = await self.list_at(resource, namespace, labels)
        return found

    async def list_at(self, resource: Resource, namespace: str, labels: str = "") -> tuple[list[Object], int]:
        """The same, and the version of the server's state that they are of."""
        found: list[Object] = []
        more = ""
        while True:
            query = {"limit": "500", "labelSelector": labels, "continue": more}
            answer = await self._call("GET", resource.path(namespace), {name: at for name, at in query.items() if at})
            # The items of a list do not say what they are.
            found += [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in answer["items"]]
            more = answer["metadata"].get("continue", "")
            if not more:
                return found, int(answer["metadata"]["resourceVersion"])

    async def create(self, resource: Resource, namespace: str, what: Object) -> Object:
        """Raises Conflict where one of that name is there."""
        return await self._call("POST", resource.path(namespace), {"fieldManager": names.MANAGER}, what)

    async def apply(self, resource: Resource, namespace: str, what: Object) -> Object:
        """Server-side apply: makes or changes the fields in `what`, and removes those that we applied before.

        A `metadata.resourceVersion` or `metadata.uid` in it is a precondition.
        """
        return await self._apply(resource.path(namespace, what["metadata"]["name"]), resource, what)

    async def apply_status(self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """The whole status: what is not in it any more goes. Changes nothing when it is the same."""
        return await self._apply(
            resource.path(namespace, name, "status"),
            resource,
            {"metadata": {"name": name, "namespace": namespace}, "status": dict(status)},
        )

    async def _apply(self, path: str, resource: Resource, what: Object) -> Object:
        document = {"apiVersion": resource.api_version, "kind": resource.kind, **what}
        query = {"fieldManager": names.MANAGER, "force": "true"}
        return await self._call("PATCH", path, query, document, "application/apply-patch+yaml")

    async def patch(
        self, resource: Resource, namespace: str, name: str, change: Object, *, version: str | None = None
    ) -> Object:
        """A merge patch: null removes. Raises Conflict where the object's resourceVersion is not `version`."""
        if version is not None:
            change = {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": version}}
        query = {"fieldManager": names.MANAGER}
        return await self._call("PATCH", resource.path(namespace, name), query, change, "application/merge-patch+json")

    async def replace(self, resource: Resource, namespace: str, what: Object) -> Object:
        """Raises Conflict where the resourceVersion in it is not the object's any more."""
        path = resource.path(namespace, what["metadata"]["name"])
        return await self._call("PUT", path, {"fieldManager": names.MANAGER}, what)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str | None = None, version: str | None = None
    ) -> bool:
        """False where it was gone already. Raises Conflict where it is another one, or changed, by then."""
        preconditions = {name: at for name, at in {"uid": uid, "resourceVersion": version}.items() if at is not None}
        body: Object = {"propagationPolicy": "Background", "preconditions": preconditions}
        try:
            await self._call("DELETE", resource.path(namespace, name), None, body)
        except NotFound:
            return False
        return True

    async def kinds(self, api_version: str) -> set[str]:
        """Plural names of the kinds that the server has; none where it does not know the group."""
        try:
            answer = await self._call("GET", f"/apis/{api_version}")
        except NotFound:
            return set()
        return {kind["name"] for kind in answer["resources"]}

    async def record_event(self, about: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """What `kubectl describe` shows. The same one again counts up instead of filling the list.

        Raises nothing but what Forbidden and Unavailable mean for the caller too.
        """
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = about["metadata"]
        namespace = metadata["namespace"]
        digest = hashlib.sha256(f"{metadata['uid']} {reason} {message}".encode()).hexdigest()[:16]
        name = f"{metadata['name'][:200]}.{digest}"
        event: Object = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": namespace,
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:_EVENT_LENGTH],
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": names.MANAGER},
            "reportingComponent": names.MANAGER,
        }
        try:
            await self.create(EVENTS, namespace, event)
        except Conflict:
            known = await self.find(EVENTS, namespace, name) or event
            again = {"count": known.get("count", 1) + 1, "lastTimestamp": moment}
            await self.patch(EVENTS, namespace, name, again)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        answer = await self._send(method, path, query, body, content_type)
        if answer.status_code == 401:  # the token was changed under us
            self._headers_until = 0.0
            answer = await self._send(method, path, query, body, content_type)
        if answer.is_success:
            content: Object = answer.json()
            return content
        raise _refusal(method, path, answer)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, content_type: str
    ) -> httpx2.Response:
        headers = {**self._credentials(), "Accept": "application/json", "Content-Type": content_type}
        try:
            if body is None:
                return await self._client.request(method, path, params=query, headers=headers)
            return await self._client.request(method, path, params=query, headers=headers, json=body)
        except httpx2.TransportError as error:
            raise Unavailable(0, f"the API server does not answer ({type(error).__name__})") from error

    def _credentials(self) -> dict[str, str]:
        """A service account's token changes every hour, in its file."""
        if time.monotonic() >= self._headers_until:
            self._headers = self._login().as_http_headers()
            self._headers_until = time.monotonic() + _TOKEN_SECONDS
        return self._headers


@asynccontextmanager
async def connected(login: Callable[[], kopf.ConnectionInfo]) -> AsyncIterator[Kube]:
    """Trusts the cluster's own authority alone, and goes through no proxy."""
    info = login()
    client = httpx2.AsyncClient(
        base_url=info.server,
        verify=info.as_ssl_context(),
        trust_env=False,
        timeout=SECONDS,
        limits=httpx2.Limits(max_connections=32, max_keepalive_connections=32),
    )
    async with client:
        yield Kube(client, login)


def _refusal(method: str, path: str, answer: httpx2.Response) -> ApiError:
    """Of the server's own words only the names of fields: a policy's refusal may quote what was sent."""
    status = answer.status_code
    match status:
        case 404:
            return NotFound(status, f"{path} is not there")
        case 409 | 412:
            return Conflict(status, f"{method} {path}: it changed meanwhile, or is there already")
        case 401 | 403:
            verb = {"GET": "get or list", "POST": "create", "PUT": "update", "DELETE": "delete"}.get(method, "patch")
            return Forbidden(status, f"the operator may not {verb} {path} ({status}); its Role lacks it")
        case 400 | 422:
            return Invalid(status, f"the API server refuses {method} {path} ({status}){_fields(answer)}")
        case _:
            return Unavailable(status, f"the API server cannot answer {method} {path} now ({status})")


def _fields(answer: httpx2.Response) -> str:
    """Which fields are wrong, by their paths and reasons alone."""
    try:
        causes = answer.json()["details"]["causes"]
        return ": " + ", ".join(f"{cause.get('field', '?')} ({cause.get('reason', '?')})" for cause in causes)
    except (ValueError, KeyError, TypeError):
        return ""
