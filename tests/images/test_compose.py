"""compose.yaml as far as it can be judged without starting it: what is open, what is allowed, what waits for what."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from keybearer.kit import settings
from keybearer.kit.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
EXAMPLE = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8")))
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}")
COMPOSE = yaml.safe_load(VARIABLE.sub(lambda found: found[2], TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"prepare", "migrate"}
# Named in the contract; the backend of this version does not read them yet.
LATER = {"KEYBEARER_VALKEY_URL", "KEYBEARER_LIVEKIT_URL", "KEYBEARER_LIVEKIT_API_KEY", "KEYBEARER_LIVEKIT_API_SECRET"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder in which `keybearer init` has run."""
    folder = tmp_path_factory.mktemp("made")
    command = [sys.executable, "-m", "keybearer", "init"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_the_example_has_each_variable_with_its_default() -> None:
    assert dict(VARIABLE.findall(TEXT)) == EXAMPLE
    assert not re.search(r"(?<!\$)\$(?!\$|\{[A-Z_]+:-)", TEXT.replace("$$", ""))


def test_one_variable_has_one_default() -> None:
    assert len(set(VARIABLE.findall(TEXT))) == len(EXAMPLE)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_held_short(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert ":latest" not in service["image"]
    assert ":" in service["image"].rpartition("/")[2]


@pytest.mark.parametrize("name", SERVICES.keys() - ONCE)
def test_what_goes_on_running_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_each_starts_after_what_it_needs() -> None:
    def after(name: str) -> dict[str, str]:
        return {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}

    healthy, ended = "service_healthy", "service_completed_successfully"
    assert after("prepare") == {"postgres": healthy}
    assert after("migrate") == {"prepare": ended}
    assert after("backend") == {"postgres": healthy, "valkey": healthy, "migrate": ended}
    assert after("frontend-proxy") == after("tls") == {"backend": healthy}
    assert all(SERVICES[name]["restart"] == "no" for name in ONCE)
    # A profile that is off must not be waited for.
    assert not {other for name in SERVICES for other in after(name) if "profiles" in SERVICES[other]}


def test_only_the_front_doors_are_open() -> None:
    ports = {name: [str(port) for port in service["ports"]] for name, service in SERVICES.items() if "ports" in service}

    assert ports.keys() == {"frontend-proxy", "tls", "livekit"}
    assert all(port.startswith("127.0.0.1:") for name in ("frontend-proxy", "livekit") for port in ports[name])
    assert not [name for name, service in SERVICES.items() if "9090" in str(service.get("ports"))]


def test_the_database_is_out_of_reach() -> None:
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert {name for name, service in SERVICES.items() if service["networks"] == ["data"]} == {
        "postgres",
        "valkey",
        *ONCE,
    }
    assert "data" not in SERVICES["frontend-proxy"]["networks"] + SERVICES["tls"]["networks"]
    assert "data" not in SERVICES["livekit"]["networks"]


def test_the_profiles() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "tls": ["tls"],
        "livekit": ["livekit"],
    }


def test_every_file_and_folder_is_one_that_init_makes(made: Path) -> None:
    mounted = {path for service in SERVICES.values() for path in service.get("env_file", ())}
    for service in SERVICES.values():
        mounted |= {volume.split(":")[0] for volume in service.get("volumes", ()) if volume.startswith(".")}

    assert mounted
    assert [path for path in mounted if not (made / path).exists()] == []
    assert all(
        volume.endswith(":ro") for each in SERVICES.values() for volume in each.get("volumes", ()) if "./" in volume
    )


def test_the_page_of_secrets_is_whole(made: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for path in (made / "secrets").iterdir():
        assert path.name in example
        if path.suffix == ".env":
            assert re.search(rf"(?m)^#   {path.name} +{', '.join(variables(path))}$", example), path.name
    assert variables(made / ".env").keys() <= EXAMPLE.keys()


def test_no_secret_is_in_the_file() -> None:
    for service in SERVICES.values():
        assert not [name for name in service.get("environment", {}) if re.search("PASSWORD|SECRET|TOKEN|_KEY$", name)]


def test_the_backend_takes_its_settings(made: Path) -> None:
    environment = SERVICES["backend"]["environment"] | variables(made / "secrets" / "backend.env")
    known = {f"{settings.PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
    read = settings.read({name: str(value or "") for name, value in environment.items()})

    assert environment.keys() <= known | LATER
    assert read.trusted_proxies == (COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"],)
    assert read.internal_hosts == {"backend"}


def test_the_front_door_takes_its_settings() -> None:
    script = (ROOT / "frontend-proxy" / "nginx" / "settings.sh").read_text(encoding="utf-8")
    known = set(re.findall(r"\$\{([A-Z][A-Z_]+):-", script))

    for name in ("frontend-proxy", "tls"):
        assert SERVICES[name]["environment"].keys() <= known


def test_nginx_may_write_where_it_writes_and_stops_in_time() -> None:
    for name in ("frontend-proxy", "tls"):
        assert SERVICES[name]["tmpfs"][0].startswith("/tmp:")
        assert SERVICES[name]["stop_signal"] == "SIGQUIT"
        assert int(SERVICES[name]["stop_grace_period"].rstrip("s")) > 25
    assert int(SERVICES["backend"]["stop_grace_period"].rstrip("s")) >= 40


@pytest.mark.images
def test_compose_itself_reads_the_file(made: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker with its compose plugin on PATH")
    command = [docker, "compose", "--profile", "*", "-f", str(ROOT / "compose.yaml"), "--project-directory", str(made)]
    done = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
