"""Does what the planner asks for. Every change of the Secret has the resourceVersion that was seen as a precondition.

So of two operators, or of one that was away for long, only the one that saw the present Secret changes it.
"""

import dataclasses
from typing import Any, assert_never

import structlog

from keybearer_operator import names
from keybearer_operator.kube import (
    DEPLOYMENTS,
    JOBS,
    PODS,
    SECRETS,
    Conflict,
    Invalid,
    Kube,
    NotFound,
    Object,
    Resource,
)
from keybearer_operator.lease import Lease
from keybearer_operator.rotation import jobs, material, model, observe, pods, secret
from keybearer_operator.rotation.model import Action, Type
from keybearer_operator.rotation.observe import World

log = structlog.get_logger(__name__)

CRON_JOBS = Resource("batch/v1", "cronjobs", "CronJob")
_VALUES = "keybearer.dev/rotate-entries"
"""Annotation of an OpaqueSecret's SecretRotation: which entries get new values, separated by commas. Default: all."""


class Executor:
    def __init__(self, kube: Kube, lease: Lease) -> None:
        self._kube = kube
        self._lease = lease

    async def carry_out(self, action: Action, world: World) -> None:
        """Raises Conflict where the world is not the one that was seen, and NotLeading."""
        self._lease.require()
        match action:
            case model.NotifyPod():
                await self._notify(action, world)
            case model.RestartConsumer():
                await self._restart(action, world)
            case model.StartJob():
                await self._start(action, world)
            case model.MakePending():
                await self._make_pending(action, world)
            case model.DropPending():
                await self._kube.delete(SECRETS, _namespace(world), observe.pending_name(world.rotation))
            case _:
                await self._write(action, world)

    async def _notify(self, action: model.NotifyPod, world: World) -> None:
        annotation = pods.NOTICES[world.seen.spec.type]
        change = {"metadata": {"annotations": {annotation: action.revision}}}
        try:
            await self._kube.patch(PODS, _namespace(world), action.pod, change)
        except NotFound:
            log.debug("rotation.pod_gone", pod=action.pod)

    async def _restart(self, action: model.RestartConsumer, world: World) -> None:
        annotation = pods.restart_annotation(world.seen.name)
        template = {"metadata": {"annotations": {annotation: action.revision}}}
        resource = observe.WORKLOADS[action.kind]
        await self._kube.patch(resource, _namespace(world), action.name, {"spec": {"template": template}})
        note = f"{action.kind} {action.name} is restarted, to take the new Secret."
        await self._kube.record_event(world.rotation, "Restarting", note)

    async def _start(self, action: model.StartJob, world: World) -> None:
        template, selector = await self._template(world)
        pending = observe.pending_name(world.rotation)
        job = jobs.build(world.rotation, template, selector, action, pending)
        try:
            await self._kube.create(JOBS, _namespace(world), job)
        except Conflict:
            log.info("rotation.job_there", job=action.name)
            return
        note = f"Job {action.name} runs `keybearer {' '.join(action.arguments)}`."
        await self._kube.record_event(world.rotation, "JobStarted", note)

    async def _template(self, world: World) -> tuple[Object, dict[str, str]]:
        """A pod template that reaches the database, and the labels by which its own pods are known."""
        named = world.rotation["metadata"].get("annotations", {}).get(jobs.TEMPLATE)
        first = "".join(f"{each['kind']}/{each['name']}" for each in world.rotation["spec"]["consumers"][:1])
        kind, _, name = (named or first).partition("/")
        if kind == "CronJob":
            found = await self._kube.get(CRON_JOBS, _namespace(world), name)
            return found["spec"]["jobTemplate"]["spec"]["template"], {}
        if kind not in observe.WORKLOADS or not name:
            raise Invalid(422, f"the annotation {jobs.TEMPLATE} is {named!r}; write CronJob/NAME or Deployment/NAME")
        found = await self._kube.get(observe.WORKLOADS.get(kind, DEPLOYMENTS), _namespace(world), name)
        return found["spec"]["template"], found["spec"]["selector"].get("matchLabels", {})

    async def _make_pending(self, action: model.MakePending, world: World) -> None:
        """Like a keyring, it has no owner: it may be all that knows a login's password."""
        name = observe.pending_name(world.rotation)
        data = secret.encoded({secret.LOGIN: action.login.encode(), secret.PASSWORD: material.new_password()})
        what = {"metadata": {"name": name, "labels": {names.MANAGED_BY: names.MANAGER}}, "type": "Opaque", "data": data}
        if world.seen.pending is not None:
            await self._kube.delete(SECRETS, _namespace(world), name)
        await self._kube.create(SECRETS, _namespace(world), what)
        await self._kube.record_event(
            world.rotation, "PasswordMade", f"A new password for {action.login} is in the Secret {name}."
        )

    async def _write(self, action: model.SecretWrite, world: World) -> None:
        assert world.secret is not None
        assert world.seen.content is not None
        entries = secret.entries(world.secret)
        state = action.state
        changed: dict[str, bytes | None] = {}
        warning = False
        match action:
            case model.Record():
                reason, note, warning = action.reason, action.note, action.warning
            case model.StageKey():
                key, digest = _new_key(action.key_id, world.seen.spec.type)
                changed = {action.key_id: key}
                state = dataclasses.replace(state, keys={**state.keys, action.key_id: digest})
                reason, note = (
                    "KeyStaged",
                    f"{action.key_id} is in the Secret, to be read with; all pods have to report it.",
                )
            case model.PromoteKey():
                changed = {secret.PRIMARY: f"{action.key_id}\n".encode()}
                reason, note = "KeyPromoted", f"{action.key_id} is the primary key from now on."
            case model.RetireKey():
                changed = {action.key_id: None}
                if world.seen.spec.type is Type.SIGNING_KEYRING:
                    changed[action.key_id + material.PUBLIC_SUFFIX] = material.public_half(entries[action.key_id])
                reason, note = "KeyRetired", f"{action.key_id} is out of the Secret; nothing needs it any more."
            case model.ReplaceValues():
                changed = {name: material.new_password() for name in _rotated_entries(world, entries)}
                reason, note = "ValuesReplaced", f"New values for {', '.join(sorted(changed))}."
            case model.SwitchLogin():
                changed = dict(await self._pending_entries(action, world))
                reason, note = "LoginSwitched", f"Consumers sign in as {action.login} from now on."
            case _:
                assert_never(action)
        await self._patch(world, changed, state)
        log.info("rotation.written", rotation=world.seen.name, reason=reason)
        await self._kube.record_event(world.rotation, reason, note, warning=warning)

    async def _patch(self, world: World, changed: dict[str, bytes | None], state: model.State) -> None:
        assert world.seen.content is not None
        data: dict[str, Any] = {name: None for name, entry in changed.items() if entry is None}
        data |= secret.encoded({name: entry for name, entry in changed.items() if entry is not None})
        change: Object = {"metadata": {"annotations": {secret.STATE: secret.written(state)}}}
        if data:
            change["data"] = data
        name = world.rotation["spec"]["secretRef"]["name"]
        self._lease.require()
        await self._kube.patch(SECRETS, _namespace(world), name, change, version=world.seen.content.version)

    async def _pending_entries(self, action: model.SwitchLogin, world: World) -> dict[str, bytes]:
        """Raises Conflict where it is not the password that the Job gave the login."""
        found = await self._kube.get(SECRETS, _namespace(world), observe.pending_name(world.rotation))
        entries = secret.entries(found)
        if material.content_revision(entries) != action.revision:
            raise Conflict(409, "the pending Secret changed meanwhile")
        return {name: entries[name] for name in (secret.LOGIN, secret.PASSWORD)}


def _new_key(key_id: str, kind: Type) -> tuple[bytes, str]:
    """The entry, and its digest."""
    if kind is Type.SIGNING_KEYRING:
        key = material.new_signing_key()
        return key, material.signing_digest(key_id, key)
    key = material.new_encryption_key()
    return key, material.encryption_digest(key_id, key)


def _rotated_entries(world: World, entries: dict[str, bytes]) -> list[str]:
    named = world.rotation["metadata"].get("annotations", {}).get(_VALUES, "")
    chosen = [name.strip() for name in named.split(",") if name.strip()]
    return chosen or sorted(entries)


def _namespace(world: World) -> str:
    return str(world.rotation["metadata"]["namespace"])
