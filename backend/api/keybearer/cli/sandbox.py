"""The sandbox beside `keybearer up`: a process of its own on another site, and the provider files that point to it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from keybearer.kit.errors import ConfigurationError

_MARK = "# The sandbox stands for this provider: `keybearer up` writes this file at each start."
_ADVICE = "# To use the real one, replace the whole file; docs/providers.md shows how."
_START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Running:
    """Its own site, and where it catches mail."""

    url: str
    smtp_url: str


def is_installed() -> bool:
    return find_spec("keybearer_sandbox") is not None


def write_provider_files(folder: Path, url: str) -> None:
    """One override a provider. A file that somebody replaced is left as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    address = url.partition("://")[2]
    for name, override in _overrides(url).items():
        path = folder / f"{name}.yaml"
        if path.exists() and not path.read_text(encoding="utf-8").startswith(_MARK):
            continue
        values = {"client_id": f"sandbox-{name}", "allow_addresses": [address], **override}
        path.write_text(f"{_MARK}\n{_ADVICE}\n{yaml.safe_dump(values, sort_keys=False)}", encoding="utf-8")
        secret = path.with_suffix(".secret")
        secret.touch(mode=0o600)
        secret.write_text(f"sbx_secret_{name}\n", encoding="utf-8")


@contextmanager
def running(*, port: int, state: Path, redirect_uris: list[str], log: Path) -> Iterator[Running]:
    """Where it is, once it answers. It ends with us, however we end: it watches its standard input."""
    command = [
        sys.executable,
        "-m",
        "keybearer_sandbox",
        "--port",
        str(port),
        "--smtp-port",
        "0",
        "--state",
        str(state),
    ]
    command += [word for uri in redirect_uris for word in ("--redirect-uri", uri)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            process_group=0,
        )
    try:
        assert process.stdout is not None, "asked for above"
        line = process.stdout.readline()
        if not line:
            raise ConfigurationError(f"The sandbox did not start on port {port}. {log} says why.")
        said = json.loads(line)
        yield Running(url=str(said["url"]), smtp_url=f"smtp://127.0.0.1:{said['smtp_port']}")
    finally:
        assert process.stdin is not None, "asked for above"
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _overrides(url: str) -> dict[str, dict[str, Any]]:
    google, spotify, github, oidc = (f"{url}/{name}" for name in ("google", "spotify", "github", "oidc"))
    return {
        "google": {
            "issuer": google,
            "revoke": {"url": f"{google}/revoke"},
            "apis": [{"base": google}],
        },
        "spotify": {
            "endpoints": {
                "authorize": f"{spotify}/authorize",
                "token": f"{spotify}/api/token",
                "userinfo": f"{spotify}/v1/me",
            },
            "apis": [{"base": spotify}],
        },
        "github": {
            "endpoints": {
                "authorize": f"{github}/login/oauth/authorize",
                "token": f"{github}/login/oauth/access_token",
                "userinfo": f"{github}/user",
                "emails": f"{github}/user/emails",
            },
            "revoke": {"url": f"{github}/applications/{{client_id}}/grant"},
            "apis": [{"base": github}],
        },
        "oidc": {
            "extends": "oidc",
            "title": "Example organisation",
            "issuer": oidc,
            "apis": [{"base": oidc}],
        },
    }
