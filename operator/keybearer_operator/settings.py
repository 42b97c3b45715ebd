"""The operator's settings, from the environment; the chart sets them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(Exception):
    """The message says which variable, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`namespace`: the one whose objects it reconciles, and where its Lease is. Ports: 0 takes any free one.

    `rotations_dir`: files with the SecretRotations that the installation asks for, of the ConfigMap `rotations_owner`.
    """

    namespace: str
    metrics_port: int = 9090
    health_port: int = 8080
    rotations_dir: Path | None = None
    rotations_owner: str = ""
    log_level: str = "info"


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingsError."""
    namespace = environment.get("KEYBEARER_OPERATOR_NAMESPACE") or _own_namespace()
    if not namespace:
        raise SettingsError("KEYBEARER_OPERATOR_NAMESPACE is not set: the namespace whose objects the operator serves.")
    folder = environment.get("KEYBEARER_OPERATOR_ROTATIONS_DIR")
    owner = environment.get("KEYBEARER_OPERATOR_ROTATIONS_OWNER", "")
    if folder and not owner:
        raise SettingsError(
            "KEYBEARER_OPERATOR_ROTATIONS_OWNER is not set: the ConfigMap that KEYBEARER_OPERATOR_ROTATIONS_DIR shows."
        )
    return Settings(
        namespace=namespace,
        metrics_port=_port(environment, "KEYBEARER_OPERATOR_METRICS_PORT", 9090),
        health_port=_port(environment, "KEYBEARER_OPERATOR_HEALTH_PORT", 8080),
        rotations_dir=Path(folder) if folder else None,
        rotations_owner=owner,
        log_level=_level(environment),
    )


def _own_namespace() -> str:
    return _ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() if _ACCOUNT_NAMESPACE.exists() else ""


def _port(environment: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environment.get(name) or str(otherwise)
    if not text.isdecimal() or int(text) > 65535:
        raise SettingsError(f"{name} is {text!r} instead of a port.")
    return int(text)


def _level(environment: Mapping[str, str]) -> str:
    level = (environment.get("KEYBEARER_LOG_LEVEL") or "info").lower()
    if level not in {"debug", "info", "warning", "error"}:
        raise SettingsError(f"KEYBEARER_LOG_LEVEL is {level!r} instead of debug, info, warning or error.")
    return level
