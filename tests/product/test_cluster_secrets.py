"""`keybearer init --kubernetes` before a server that speaks the API server's shape: what it makes, keeps and says."""

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from installation import free_port
from keybearer.cli import certificates, cluster_secrets
from keybearer.cli.kubernetes_api import ServiceAccount
from keybearer.cli.main import app
from keybearer.keys import keyring, signing
from keybearer.kit.errors import ConfigurationError
from typer.testing import CliRunner

ALL = ["keyring", "signing", "database", "database-migrator", "postgres", "postgres-tls", "valkey", "livekit"]
TOKEN = "eyJ-of-the-service-account"


@dataclass
class ApiServer:
    """Keeps Secrets by name. `faults` are answered first, one a request; they quote all that was sent."""

    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append((path, token))
        name = body["metadata"]["name"]
        if self.faults:
            return self.status(self.faults.pop(0), f"denied by policy: {json.dumps(body)}")
        if token != f"Bearer {TOKEN}":
            return self.status(401, "Unauthorized")
        if name in self.secrets:
            return self.status(409, f'secrets "{name}" already exists')
        self.secrets[name] = body
        return 201, body

    def status(self, code: int, message: str) -> tuple[int, dict[str, Any]]:
        return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}

    def contents(self, name: str) -> dict[str, str]:
        contents: dict[str, str] = self.secrets[name]["stringData"]
        return contents


@dataclass
class Cluster:
    api: ApiServer
    account: ServiceAccount

    def make(self, *kinds: str, name: str = "kb", seconds: int = 0) -> None:
        cluster_secrets.make(name, kinds, self.account, seconds=seconds)


@pytest.fixture(scope="module")
def certificate() -> certificates.ServerCertificate:
    return certificates.issue(["localhost"])


@contextmanager
def serving(api: ApiServer, made: certificates.ServerCertificate, folder: Path, port: int = 0) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = api.answer(self.path, self.headers["authorization"], body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = answer

        def log_message(self, *_: object) -> None:
            """Quiet."""

    (folder / "server.pem").write_text(made.key + made.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.handle_error = lambda *_: None  # a client that does not trust us
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def account(folder: Path, port: int, authority: str, namespace: str = "agents") -> ServiceAccount:
    """The files that kubelet mounts into a pod, and the variables that it sets."""
    for name, content in (("token", TOKEN), ("ca.crt", authority), ("namespace", namespace)):
        (folder / name).write_text(content)
    environment = {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": str(port)}
    return ServiceAccount.of_this_pod(environment, folder)


@pytest.fixture
def cluster(tmp_path: Path, certificate) -> Iterator[Cluster]:
    api = ApiServer()
    with serving(api, certificate, tmp_path) as port:
        yield Cluster(api, account(tmp_path, port, certificate.authority))


def mounted(folder: Path, contents: dict[str, str]) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(content)
    return folder


def test_each_secret_is_made_once_and_kept(cluster: Cluster, capsys) -> None:
    cluster.make("keyring", "signing")
    before = json.dumps(cluster.api.secrets)
    cluster.make("keyring", "signing", "valkey")

    assert json.dumps({name: cluster.api.secrets[name] for name in ("kb-keyring", "kb-signing")}) == before
    assert capsys.readouterr().out.splitlines() == [
        "made Secret kb-keyring",
        "made Secret kb-signing",
        "kept Secret kb-keyring",
        "kept Secret kb-signing",
        "made Secret kb-valkey",
    ]
    assert {urlsplit(path).path for path, _ in cluster.api.requests} == {"/api/v1/namespaces/agents/secrets"}


def test_what_each_of_them_holds(cluster: Cluster) -> None:
    cluster.make(*ALL)

    assert {name: sorted(secret["stringData"]) for name, secret in cluster.api.secrets.items()} == {
        "kb-keyring": ["k1", "primary"],
        "kb-signing": ["k1", "primary"],
        "kb-database": ["password", "username"],
        "kb-database-migrator": ["password", "username"],
        "kb-postgres": ["password", "username"],
        "kb-postgres-tls": ["ca.crt", "tls.crt", "tls.key"],
        "kb-valkey": ["password"],
        "kb-livekit": ["api-key", "api-secret"],
    }
    assert cluster.api.contents("kb-database")["username"] == "keybearer_app_a"
    assert cluster.api.contents("kb-database-migrator")["username"] == "keybearer_migrator"
    assert cluster.api.contents("kb-postgres")["username"] == "postgres"


def test_the_keyrings_load_from_the_mounted_secrets(cluster: Cluster, tmp_path: Path) -> None:
    cluster.make("keyring", "signing")

    assert keyring.load(mounted(tmp_path / "keyring", cluster.api.contents("kb-keyring"))).primary == "k1"
    assert signing.load(mounted(tmp_path / "signing", cluster.api.contents("kb-signing"))).primary == "k1"


def test_passwords_are_all_different_and_fit_into_a_url(cluster: Cluster) -> None:
    for name in ("kb", "other"):
        cluster.make(*ALL, name=name)
    passwords = [
        value
        for secret in cluster.api.secrets.values()
        for key, value in secret["stringData"].items()
        if "password" in key or key == "api-secret"
    ]

    assert len(set(passwords)) == len(passwords) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", password) for password in passwords)
    assert cluster.api.contents("kb-keyring")["k1"] != cluster.api.contents("other-keyring")["k1"]


def test_labels_tell_whose_they_are_and_an_annotation_why_they_stay(cluster: Cluster) -> None:
    cluster.make(*ALL)
    for name, secret in cluster.api.secrets.items():
        metadata = secret["metadata"]
        assert (secret["apiVersion"], secret["kind"], metadata["namespace"]) == ("v1", "Secret", "agents")
        assert metadata["labels"] == {
            "app.kubernetes.io/name": "keybearer",
            "app.kubernetes.io/instance": "kb",
            "app.kubernetes.io/managed-by": "keybearer",
        }
        assert metadata["annotations"]["keybearer.dev/kept-on-uninstall"].endswith("."), name
        assert "ownerReferences" not in metadata
        assert secret["type"] == ("kubernetes.io/tls" if name == "kb-postgres-tls" else "Opaque")


def test_the_databases_certificate(cluster: Cluster) -> None:
    cluster.make("postgres-tls")
    held = cluster.api.contents("kb-postgres-tls")
    authority, served = (x509.load_pem_x509_certificate(held[name].encode()) for name in ("ca.crt", "tls.crt"))
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == [
        "kb-postgres",
        "kb-postgres.agents",
        "kb-postgres.agents.svc",
        "kb-postgres.agents.svc.cluster.local",
        "localhost",
    ]
    for each in (authority, served):
        left = each.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=3650) < left < timedelta(days=3660)
    served.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not served.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_strict_clients_take_the_certificate_too(cluster: Cluster, tmp_path: Path) -> None:
    """Python 3.13 and Go look at more than OpenSSL did."""
    cluster.make("postgres-tls")
    held = cluster.api.contents("kb-postgres-tls")
    (tmp_path / "both.pem").write_text(held["tls.key"] + held["tls.crt"])
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=held["ca.crt"])
    server.load_cert_chain(tmp_path / "both.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    shake_hands(server, client, "kb-postgres.agents.svc")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(server, client, "elsewhere")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def said(cluster: Cluster, *kinds: str, seconds: int = 0, name: str = "kb") -> str:
    with pytest.raises(ConfigurationError) as refused:
        cluster.make(*kinds, seconds=seconds, name=name)
    return str(refused.value)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "does not take this pod's token (401)"),
        (403, "Role with the verb `create` on `secrets`"),
        (404, "There is no namespace agents (404)"),
        (422, "refuses the Secret (422)"),
        (500, "cannot answer now (500)"),
    ],
)
def test_a_refusal_says_what_to_do_and_quotes_nothing(cluster: Cluster, capsys, status: int, says: str) -> None:
    """A policy's refusal may hold what was sent."""
    cluster.api.faults = [status]
    message = said(cluster, "keyring")
    out = capsys.readouterr()

    assert says in message
    assert "stringData" not in message + out.out + out.err
    assert not cluster.api.secrets


def test_what_passes_is_waited_for_and_sent_again(cluster: Cluster, capsys) -> None:
    cluster.api.faults = [500, 503, 403]
    cluster.make("keyring", seconds=30)

    assert list(cluster.api.secrets) == ["kb-keyring"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == ["waiting"] * 3
    assert lines[-1] == "made Secret kb-keyring"


def test_no_secret_is_in_any_output(cluster: Cluster, capsys) -> None:
    cluster.make(*ALL)
    cluster.api.faults = [500, 403]
    cluster.make(*ALL, name="other", seconds=30)
    cluster.api.faults = [403]
    message = said(cluster, *ALL, name="third")
    out = capsys.readouterr()
    everything = message + out.out + out.err
    hidden = {TOKEN}
    for secret in cluster.api.secrets.values():
        for key, value in secret["stringData"].items():
            if key not in {"primary", "username", "api-key", "ca.crt", "tls.crt"}:
                hidden |= {line for line in value.split("\n") if len(line) > 8}

    assert len(hidden) > 20
    assert not [each for each in hidden if each in everything]
    assert not [each for each in hidden if base64.b64encode(each.encode()).decode() in everything]


def test_an_api_server_that_starts_later_is_waited_for(tmp_path: Path, certificate, capsys) -> None:
    api, port = ApiServer(), free_port()
    waits = account(tmp_path, port, certificate.authority)
    server = threading.Thread(target=_serve_soon, args=(api, certificate, tmp_path, port, 1.5))
    server.start()
    try:
        cluster_secrets.make("kb", ["keyring"], waits, seconds=30)
    finally:
        server.join()

    assert capsys.readouterr().out.splitlines() == [
        f"waiting: The API server at https://localhost:{port} does not answer (ConnectError).",
        "made Secret kb-keyring",
    ]


def _serve_soon(api: ApiServer, made: certificates.ServerCertificate, folder: Path, port: int, seconds: float) -> None:
    time.sleep(seconds)
    with serving(api, made, folder, port):
        deadline = time.monotonic() + 20
        while not api.secrets and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)


def test_one_that_never_answers_is_said_to(tmp_path: Path, certificate) -> None:
    waits = account(tmp_path, free_port(), certificate.authority)
    with pytest.raises(ConfigurationError, match=r"Waited 1 seconds in vain.*NetworkPolicy"):
        cluster_secrets.make("kb", ["keyring"], waits, seconds=1)


def test_another_server_in_its_place_gets_neither_token_nor_secret(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(certificates.issue(["localhost"]).authority)
    message = said(cluster, "keyring", seconds=30)

    assert "is not the one of ca.crt" in message
    assert not cluster.api.requests


def test_a_token_that_changed_is_read_again(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("an old one")
    assert "(401)" in said(cluster, "keyring")
    (tmp_path / "token").write_text(TOKEN)
    cluster.make("keyring")


@pytest.mark.parametrize("name", ["", "Kb", "kb_", "-kb", "kb/secrets", "k" * 54])
def test_a_name_that_no_cluster_takes(cluster: Cluster, name: str) -> None:
    assert "--kubernetes takes the installation's full name" in said(cluster, "keyring", name=name)
    assert not cluster.api.requests


@pytest.mark.parametrize("kinds", [[], ["keyrings"]])
def test_which_secrets_there_are_is_said(cluster: Cluster, kinds: list[str]) -> None:
    assert ", ".join(ALL) in said(cluster, *kinds)


@pytest.mark.parametrize("lost", ["namespace", "token", "ca.crt"])
def test_outside_of_a_pod(cluster: Cluster, tmp_path: Path, lost: str) -> None:
    (tmp_path / lost).unlink()
    with pytest.raises(ConfigurationError, match="service account"):
        cluster_secrets.make("kb", ["keyring"], account_again(tmp_path), seconds=0)


def account_again(folder: Path) -> ServiceAccount:
    return ServiceAccount.of_this_pod({"KUBERNETES_SERVICE_HOST": "localhost"}, folder)


def test_an_address_of_six_is_one(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("agents")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert ServiceAccount.of_this_pod(environment, tmp_path).server == "https://[fd00::1]:6443"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kubernetes", "kb", "--secret", "keyring"], "`--kubernetes` works in a pod"),
        (["--secret", "keyring"], "--secret goes with --kubernetes"),
        (["--kubernetes", "kb", "--database"], "--database without"),
    ],
)
def test_the_command_says_what_it_needs(arguments: list[str], says: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    not_in_a_pod = {"KUBERNETES_SERVICE_HOST": ""}  # where the tests themselves run in one
    done = CliRunner().invoke(app, ["init", *arguments], env=not_in_a_pod)

    assert done.exit_code in {1, 2}
    assert says in done.output
    assert not list(tmp_path.iterdir())
