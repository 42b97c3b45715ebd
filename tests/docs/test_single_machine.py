"""docs/single-machine.md without containers: what it installs, what it lets in, and what runs in front."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import pytest
from installation import free_port
from keybearer.cli import postgres
from keybearer.keys import keyring, signing
from keybearer.kit import settings
from keybearer.kit.connecting import DatabaseAddress
from proxy_front import front

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "systemd"
UNITS = {path.name for path in SOURCE.iterdir() if path.suffix in {".service", ".timer"}}
PAGE = (ROOT / "docs" / "single-machine.md").read_text(encoding="utf-8")
PART = PAGE.partition("# Without containers\n")[2].partition("\n# Images")[0]
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def example(containing: str) -> str:
    """The one block of the page, not a command, that has these words."""
    texts = re.findall(r"(?ms)^ *```text\n(.*?)^ *```", PART)
    (found,) = (text for text in texts if containing in text)
    return re.sub(r"(?m)^   ", "", found)


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r'(?m)^([A-Z_]+)="?(.*?)"?$', text))


def given(name: str) -> dict[str, str]:
    return variables((SOURCE / name).read_text(encoding="utf-8"))


# Installing.


def install(clone: Path, root: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(clone / "docs" / "systemd" / "install.sh")]
    environment = {"PATH": PATH, "DESTDIR": str(root)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Twice, with a setting changed between."""
    if os.geteuid() or shutil.which("systemd-sysusers") is None:
        pytest.skip("installing needs root, and systemd-sysusers (Debian: package systemd)")
    clone, root = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("root")
    shutil.copytree(SOURCE, clone / "docs" / "systemd")
    shutil.copytree(ROOT / "frontend-proxy" / "nginx", clone / "frontend-proxy" / "nginx")
    front.built_ui(clone / "frontend-proxy" / "ui" / "dist")
    (root / "etc").mkdir()
    first = install(clone, root)
    (root / "etc/keybearer/keybearer.env").write_text("KEYBEARER_PUBLIC_URL=https://mine.example\n")
    keys = (root / "etc/keybearer/keyring/k1").read_text()
    second = install(clone, root)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (root / "etc/keybearer/keyring/k1").read_text() == keys
    return Path(root)


def test_what_was_set_is_kept(installed: Path) -> None:
    assert "mine.example" in (installed / "etc/keybearer/keybearer.env").read_text()


def test_everything_is_where_the_units_look(installed: Path) -> None:
    assert {path.name for path in (installed / "etc/systemd/system").iterdir()} == UNITS
    for path in ("opt/keybearer/nginx/front.sh", "usr/local/sbin/keybearer"):
        assert os.access(installed / path, os.X_OK)
    assert (installed / "opt/keybearer/nginx/templates/nginx.conf.template").is_file()
    assert (installed / "opt/keybearer/ui/index.html").is_file()


def test_keys_and_settings_are_for_one_group_each(installed: Path) -> None:
    place = installed / "etc/keybearer"
    groups = dict(re.findall(r"(?m)^([a-z-]+):[^:]*:(\d+):", (installed / "etc/group").read_text()))
    others = {"admin.env": "keybearer-admin"} | dict.fromkeys(("front.env", "nginx", "tls"), "keybearer-front")

    assert keyring.load(place / "keyring").primary == "k1"
    assert signing.load(place / "signing").primary == "s1"
    for path in place.rglob("*"):
        group = others.get(path.relative_to(place).parts[0], "keybearer")
        assert (path.stat().st_uid, path.stat().st_gid) == (0, int(groups[group])), path
        assert path.stat().st_mode & 0o027 == 0, path


def test_what_services_write_has_a_place(installed: Path) -> None:
    users = dict(re.findall(r"(?m)^([a-z-]+):[^:]*:(\d+):", (installed / "etc/passwd").read_text()))
    for name, user, mode in (
        ("keybearer/erasures", "keybearer", 0o770),
        ("keybearer-backups", "keybearer-admin", 0o700),
    ):
        found = (installed / "var/lib" / name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (int(users[user]), mode)


def test_migrations_and_backups_read_the_keyring(installed: Path) -> None:
    members = dict(re.findall(r"(?m)^([a-z-]+):[^:]*:\d+:(.*)$", (installed / "etc/group").read_text()))

    assert members == {"keybearer": "keybearer-admin", "keybearer-admin": "", "keybearer-front": ""}


def test_without_a_ui_it_says_so(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "docs" / "systemd")
    done = install(tmp_path, tmp_path / "root")

    assert done.returncode == 1
    assert "npm run build" in done.stderr
    assert not (tmp_path / "root").exists()


# Settings.


def test_the_settings_are_taken_and_hold_no_secret() -> None:
    server = given("keybearer.env")
    found = settings.read(server | given("admin.env"))
    names = {f"KEYBEARER_{name.upper()}" for name in settings.Settings.__dataclass_fields__}

    assert server.keys() - names == {"WORKERS"}
    assert int(server["WORKERS"]) > 0
    assert "KEYBEARER_MIGRATION_DATABASE_URL" not in server
    assert found.host == found.internal_host == "127.0.0.1"
    assert found.migration_database_url is not None
    for url in (found.database_url, found.migration_database_url):
        assert not DatabaseAddress(url).login()[1]


def test_the_settings_for_another_database_are_taken() -> None:
    more = variables(example("KEYBEARER_DATABASE_CREDENTIALS_DIR="))
    more |= variables(example("KEYBEARER_MIGRATION_DATABASE_URL="))
    found = settings.read(given("keybearer.env") | more)

    assert found.database_url.endswith("?sslmode=verify-full&sslrootcert=/etc/keybearer/database/ca.crt")
    assert str(found.database_credentials_dir) == "/etc/keybearer/database"
    assert DatabaseAddress(found.migration_database_url or "").login() == ("keybearer_migrator", "secret")


# Root's `keybearer`.


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """What the script starts, and with which settings: setpriv is a stand-in that tells."""
    for name in ("keybearer.env", "admin.env"):
        shutil.copy(SOURCE / name, tmp_path)
    script = (SOURCE / "keybearer.sh").read_text(encoding="utf-8").replace(". /etc/keybearer", f". {tmp_path}")
    (tmp_path / "keybearer").write_text(script)
    (tmp_path / "setpriv").write_text('#!/bin/sh\nprintf "%s\\n" "$*"\nenv\n')
    (tmp_path / "setpriv").chmod(0o755)

    def ask(*words: str) -> tuple[list[str], dict[str, str]]:
        environment = {"PATH": f"{tmp_path}:{PATH}"}
        command = ["sh", str(tmp_path / "keybearer"), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        first, *rest = done.stdout.splitlines()
        return first.split(), dict(line.partition("=")[::2] for line in rest)

    return ask


@pytest.mark.parametrize("words", [["verify"], ["verify", "--url", "https://x"], ["--help"], []])
def test_what_looks_at_the_server_runs_as_it_does(asked, words: list[str]) -> None:
    started, environment = asked(*words)

    assert started[:5] == ["--reuid", "keybearer", "--regid", "keybearer", "--init-groups"]
    assert started[5:] == ["/opt/keybearer/env/bin/keybearer", *words]
    assert environment["KEYBEARER_DATABASE_URL"] == given("keybearer.env")["KEYBEARER_DATABASE_URL"]
    assert "KEYBEARER_MIGRATION_DATABASE_URL" not in environment


@pytest.mark.parametrize("command", ["backup", "ledger", "migrate", "prune", "restore"])
def test_what_reads_or_changes_all_of_it_has_the_migrating_login(asked, command: str) -> None:
    started, environment = asked(command, "--help")

    assert started[:5] == ["--reuid", "keybearer-admin", "--regid", "keybearer-admin", "--init-groups"]
    assert ("+dac_read_search" in started) is (command == "restore")
    assert environment["KEYBEARER_MIGRATION_DATABASE_URL"] == given("admin.env")["KEYBEARER_MIGRATION_DATABASE_URL"]


# nginx.


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if shutil.which("envsubst") is None:
        pytest.skip("envsubst is not here (Debian: package gettext-base)")
    shutil.copytree(ROOT / "frontend-proxy" / "nginx", tmp_path / "nginx")
    shutil.copy(SOURCE / "front.sh", tmp_path / "nginx")
    front.built_ui(tmp_path / "ui")
    return tmp_path


def start_front(place: Path, *arguments: str, port: int, **changed: str) -> "subprocess.Popen[str]":
    """With the settings of front.env, but for ports and folders."""
    environment = given("front.env") | {
        "PATH": f"{Path(front.nginx()).parent}:{PATH}",
        "LISTEN": f"127.0.0.1:{port}",
        "HEALTH_LISTEN": f"127.0.0.1:{port + 1}",
        "TLS_DIR": "",
        "UI_ROOT": str(place / "ui"),
        "RUN_DIR": str(place / "run"),
    }
    command = [str(place / "nginx" / "front.sh"), *arguments]
    return subprocess.Popen(command, env=environment | changed, stderr=subprocess.PIPE, text=True)


def test_nginx_serves(place: Path) -> None:
    port = free_port(2)
    process = start_front(place, port=port)
    try:
        assert answered(f"http://127.0.0.1:{port + 1}/healthz") == b"ok\n"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def answered(url: str) -> bytes:
    deadline = time.monotonic() + 15
    while True:
        try:
            with urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("limit", "location", "code", "said"),
    [
        ("10/second", "", 0, "test is successful"),
        ("often", "", 1, "REQUEST_LIMIT must be like"),
        ("10/second", "nonsense;", 1, 'unknown directive "nonsense"'),
    ],
)
def test_a_reload_tries_it_first(place: Path, limit: str, location: str, code: int, said: str) -> None:
    (place / "extra").mkdir()
    (place / "extra" / "own.conf").write_text(location)
    process = start_front(place, "-t", port=free_port(2), REQUEST_LIMIT=limit, EXTRA_DIR=str(place / "extra"))
    told = process.communicate(timeout=20)[1]

    assert (process.returncode, said in told) == (code, True), told


def test_the_access_log_goes_to_the_journal(place: Path) -> None:
    start_front(place, "-t", port=free_port(2)).communicate(timeout=20)
    rendered = "".join(path.read_text() for path in (place / "run").glob("*.conf"))

    assert "access_log syslog:server=unix:/dev/log,nohostname,tag=keybearer_front requests;" in rendered
    assert "/dev/stdout" not in rendered
    assert "${FRONT_" not in rendered


def test_the_front_door_drains_before_it_is_stopped() -> None:
    done = front.settings(given("front.env") | {"TLS_DIR": "", "UI_ROOT": str(ROOT / "frontend-proxy/ui")})
    assert done.returncode == 0, done.stderr
    service = (SOURCE / "keybearer-front.service").read_text(encoding="utf-8")
    allowed = re.search(r"(?m)^TimeoutStopSec=(\d+)s$", service)

    assert allowed is not None
    assert int(allowed[1]) > int(json.loads(done.stdout)["FRONT_DRAIN"])
    assert given("front.env")["PUBLIC_URL"] == given("keybearer.env")["KEYBEARER_PUBLIC_URL"]


# Who gets in.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[postgres.Server]:
    """A server with the page's lines in its files. The wheel's is built without TLS."""
    folder = tmp_path_factory.mktemp("guarded")
    remote = re.sub(r"(?m)^hostssl", "host   ", example("hostssl "))
    lines = example("peer map=keybearer") + remote + "local all postgres scram-sha-256\n"
    (folder / "hba").write_text(lines, encoding="utf-8")
    (folder / "ident").write_text(example("keybearer_migrator\n"), encoding="utf-8")
    files = {"hba_file": str(folder / "hba"), "ident_file": str(folder / "ident"), "fsync": "off"}
    with postgres.running(folder / "data", settings=files) as server:
        yield server


async def test_postgresql_reads_the_lines_of_the_page(guarded: postgres.Server) -> None:
    connection = await asyncpg.connect(guarded.superuser_dsn())
    try:
        rules = await connection.fetch("SELECT * FROM pg_hba_file_rules ORDER BY rule_number")
        users = await connection.fetch("SELECT * FROM pg_ident_file_mappings")
    finally:
        await connection.close()

    assert [rule["error"] for rule in [*rules, *users] if rule["error"]] == []
    ways = [(rule["type"], rule["database"], rule["auth_method"]) for rule in rules[:2]]
    assert ways == [("local", ["/^keybearer"], "peer"), ("host", ["/^keybearer"], "scram-sha-256")]
    assert {(each["sys_name"], each["pg_username"]) for each in users} == {
        ("keybearer", "keybearer_app_a"),
        ("keybearer-admin", "keybearer_app_a"),
        ("keybearer-admin", "keybearer_migrator"),
    }


def test_the_firewall_is_one(tmp_path: Path) -> None:
    """In a network namespace of its own, with a user of this machine."""
    apart = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("nft", path=PATH) is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("needs nft (Debian: package nftables) and a network namespace")
    rules = tmp_path / "rules.nft"
    rules.write_text(example("table inet").replace('"keybearer"', "0"), encoding="utf-8")
    command = [*apart, "nft", "--check", "--file", str(rules)]
    done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


# What the page says.


def test_the_page_names_each_unit() -> None:
    enabled = re.search(r"systemctl enable --now (keybearer .*)", PART)

    assert enabled is not None
    assert set(enabled[1].split()) == {"keybearer", "keybearer-front", *(name for name in UNITS if "timer" in name)}
    assert {f"{name}.service" for name in re.findall(r"(?m)^\| `(keybearer[a-z-]*)` \|", PART)} == {
        name for name in UNITS if "service" in name
    }


def test_the_commands_of_an_update_are_those_of_the_installation() -> None:
    def lines(text: str) -> set[str]:
        return {line.strip() for block in re.findall(r"(?ms)```sh\n(.*?)```", text) for line in block.splitlines()}

    installing, _, updating = PART.partition("## Update")
    own = {"git pull", "systemctl restart keybearer"}

    assert lines(updating) - lines(installing) - {""} == own
