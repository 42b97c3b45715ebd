"""A Secret as the planner sees it, and the state that is kept with it."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from keybearer_operator.kube import Object
from keybearer_operator.rotation import material
from keybearer_operator.rotation.model import Content, Pending, State, Type

STATE: Final = "keybearer.dev/rotation"
PRIMARY: Final = "primary"
LOGIN: Final = "username"
PASSWORD: Final = "password"  # noqa: S105 - the entry's name

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TIMES = {"since", "rotated", "failed_at"}


def content(secret: Object, kind: Type) -> Content:
    """Never raises: what is wrong with it is in `problem`."""
    data = entries(secret)
    revision = material.content_revision(data)
    read: dict[str, Any] = {"revision": revision, "wanted": revision}
    try:
        if kind.is_keyring:
            read = _keyring(data, kind)
        elif kind is Type.POSTGRES_USER:
            login = _text(data, LOGIN)
            _text(data, PASSWORD)
            read |= {"primary": login, "wanted": login}
    except material.Unusable as error:
        read["problem"] = str(error)
    metadata = secret["metadata"]
    return Content(
        version=metadata["resourceVersion"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        state=state(secret),
        **read,
    )


def pending(secret: Object | None) -> Pending | None:
    if secret is None:
        return None
    data = entries(secret)
    return Pending(data.get(LOGIN, b"").decode("ascii", "replace").strip(), material.content_revision(data))


def entries(secret: Object) -> dict[str, bytes]:
    return {name: base64.b64decode(entry) for name, entry in (secret.get("data") or {}).items()}


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(entry).decode() for name, entry in data.items()}


def state(secret: Object) -> State | None:
    """None where the annotation is not there, or is not ours any more: the Secret is then looked at as a new one."""
    text = (secret["metadata"].get("annotations") or {}).get(STATE)
    if text is None:
        return None
    try:
        return _state(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def written(kept: State) -> str:
    """The annotation's value: ids, digests and times."""
    raw = asdict(kept)
    for name in _TIMES & raw.keys():
        raw[name] = raw[name].isoformat() if raw[name] is not None else None
    return json.dumps(raw, separators=(",", ":"), sort_keys=True)


def _state(raw: dict[str, Any]) -> State:
    known = {each.name for each in fields(State)}
    values = {name: value for name, value in raw.items() if name in known}
    for name in _TIMES & values.keys():
        values[name] = datetime.fromisoformat(values[name]) if values[name] is not None else None
    values["previous"] = tuple(values.get("previous", ()))
    values["keys"] = {str(key_id): str(digest) for key_id, digest in values.get("keys", {}).items()}
    return State(**values)


def _keyring(data: Mapping[str, bytes], kind: Type) -> dict[str, Any]:
    """Raises material.Unusable, as the backend refuses such a directory."""
    names = sorted(data.keys() - {PRIMARY})
    for name in names:
        if not _KEY_ID.fullmatch(name):
            raise material.Unusable(f"The entry {name} is not named like a key (letters, digits, . _ -).")
    signing = kind is Type.SIGNING_KEYRING
    digest = material.signing_digest if signing else material.encryption_digest
    digests = {name: digest(name, data[name]) for name in names}
    public = frozenset(name.removesuffix(material.PUBLIC_SUFFIX) for name in names if _is_public(name, kind))
    primary = _text(data, PRIMARY)
    keys = {name: each for name, each in digests.items() if not _is_public(name, kind)}
    if primary not in keys:
        raise material.Unusable("The entry `primary` names a key that is not there.")
    revision = material.keyring_revision(digests, primary)
    return {"revision": revision, "wanted": revision, "primary": primary, "keys": keys, "public": public}


def _is_public(name: str, kind: Type) -> bool:
    return kind is Type.SIGNING_KEYRING and name.endswith(material.PUBLIC_SUFFIX)


def _text(data: Mapping[str, bytes], name: str) -> str:
    try:
        text = data[name].decode("ascii").strip()
    except (KeyError, UnicodeDecodeError):
        text = ""
    if not text:
        raise material.Unusable(f"The entry `{name}` is missing or empty.")
    return text
