"""`keybearer verify` finds what is wrong with an installation, says what to do, shows no secret and changes nothing."""

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from installation import Installation, free_port, installed
from keybearer.cli import outside
from keybearer.cli.main import app
from typer.testing import CliRunner

Break = Callable[[Installation, dict[str, str | None]], None]


@pytest.fixture
def installation(tmp_path: Path, database, sandbox) -> Iterator[Installation]:
    with installed(tmp_path, database.url, database.owner_url, sandbox) as made:
        yield made


def verify(made: Installation, *arguments: str, **changes: str | None) -> Result:
    """The command in this process, with the installation's settings and no others."""
    wanted = {name: value for name, value in made.environment().items() if name.startswith("KEYBEARER_")}
    others = {name: None for name in os.environ if name.startswith("KEYBEARER_")}
    environment = {**others, **wanted, **{f"KEYBEARER_{name}": value for name, value in changes.items()}}
    return CliRunner().invoke(app, ["verify", *arguments], env=environment)


def test_a_good_installation_passes_and_is_left_as_it_was(installation, database) -> None:
    done = verify(installation)
    assert done.exit_code == 0, done.output
    assert done.output.rstrip().endswith("checks, 0 wrong")
    assert "ok    provider google" in done.output
    assert rows(database.superuser_url, "SELECT count(*) FROM keybearer.keks") == 0


def test_settings_come_with_their_source_and_secrets_masked(installation) -> None:
    url = f"{installation.database_url}&password=planted-in-the-query&sslmode=prefer"
    done = verify(
        installation,
        DATABASE_URL=url,
        SMTP_URL="smtp://mail:planted-mail@mail.example.com",
        MAIL_FROM="keybearer@example.com",
        VALKEY_URL="valkey://:planted-valkey@valkey.example.com:6379",
        SMPT_URL="smtp://mail:planted-typo@mail.example.com",
        PUBLIC_DOCS="true",
        LOG_LEVEL=None,
    )
    host = installation.database_url.partition("@")[2]
    assert f"environment KEYBEARER_DATABASE_URL=postgresql://***@{host}&sslmode=prefer\n" in done.output
    assert "environment KEYBEARER_PUBLIC_DOCS=true\n" in done.output
    assert f"environment KEYBEARER_KEYRING_DIR={installation.folder}/keyring\n" in done.output
    assert "default     KEYBEARER_LOG_LEVEL=info\n" in done.output
    assert "environment KEYBEARER_SMTP_URL=smtp://***@mail.example.com\n" in done.output
    assert "environment KEYBEARER_VALKEY_URL=valkey://***@valkey.example.com:6379\n" in done.output
    assert "not read    KEYBEARER_SMPT_URL is no setting of the server\n" in done.output
    assert "planted" not in done.output
    assert ":app@" not in done.output
    assert ":migrator@" not in done.output


def rows(url: str, statement: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(statement) or 0)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(ask())


def short_key(made: Installation, database) -> dict[str, str | None]:
    (made.folder / "keyring" / "k1").write_text("c2hvcnQ=")
    return {}


def broken_provider(made: Installation, database) -> dict[str, str | None]:
    (made.folder / "providers" / "google.yaml").write_text("client_id: [\n")
    return {}


def odd_provider(made: Installation, database) -> dict[str, str | None]:
    (made.folder / "providers" / "google.yaml").write_text("client_id: ours\nissuers: https://x.example\n")
    return {}


def silent_provider(made: Installation, database) -> dict[str, str | None]:
    port = free_port()
    text = (made.folder / "providers" / "spotify.yaml").read_text()
    authority = made.sandbox.url.removeprefix("http://")
    (made.folder / "providers" / "spotify.yaml").write_text(text.replace(authority, f"127.0.0.1:{port}"))
    return {}


def old_schema(made: Installation, database) -> dict[str, str | None]:
    rows(database.superuser_url, "UPDATE keybearer.alembic_version SET version_num = '0000'")
    return {}


def lost_key(made: Installation, database) -> dict[str, str | None]:
    rows(database.superuser_url, "INSERT INTO keybearer.keks (id) VALUES ('k0')")
    return {}


@pytest.mark.parametrize(
    ("broken", "check", "says"),
    [
        (lambda made, database: {"PUBLIC_URL": None}, "configuration", "KEYBEARER_PUBLIC_URL is not set."),
        (
            lambda made, database: {"PUBLIC_URL": "http://keybearer.example.com"},
            "configuration",
            "cookies would travel in the clear. Use https.",
        ),
        (lambda made, database: {"CORS_ORIGINS": "*"}, "configuration", "`*` and `null` are refused"),
        (lambda made, database: {"SIGNING_KEYRING_DIR": "/nowhere"}, "configuration", "KEYBEARER_SIGNING_KEYRING_DIR"),
        (short_key, "configuration", "KEYBEARER_KEYRING_DIR"),
        (broken_provider, "configuration", "not valid YAML"),
        (odd_provider, "configuration", "google.yaml: issuers:"),
        (lambda made, database: {"DATABASE_URL": database.superuser_url}, "database", "is a superuser, so tenants"),
        (lambda made, database: {"DATABASE_URL": database.owner_url}, "database", "is a member of the owner"),
        (
            lambda made, database: {"DATABASE_URL": made.database_url.replace(":app@", ":planted-wrong@")},
            "database",
            "the database does not let us in (InvalidPasswordError)",
        ),
        (
            lambda made, database: {"DATABASE_URL": f"postgresql://a:planted@127.0.0.1:{free_port()}/b"},
            "database",
            "the database does not answer (ConnectionRefusedError)",
        ),
        (
            lambda made, database: {"DATABASE_URL": "postgresql://a:planted@127.0.0.1:port/b"},
            "database",
            "KEYBEARER_DATABASE_URL is not a URL that can be read.",
        ),
        (
            lambda made, database: {"DATABASE_URL": "mysql://a:planted@127.0.0.1/b"},
            "database",
            "KEYBEARER_DATABASE_URL must look like postgresql://",
        ),
        (old_schema, "database", "The database is at schema 0000"),
        (lost_key, "keyring", "KEYBEARER_KEYRING_DIR lacks the key k0"),
        (silent_provider, "provider spotify", "gives no answer"),
    ],
)
def test_what_is_wrong(installation: Installation, database, broken, check: str, says: str) -> None:
    done = verify(installation, **broken(installation, database))
    assert done.exit_code == 1, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("wrong ")]
    assert len(lines) == 1, done.output
    assert lines[0].startswith(f"wrong {check}")
    assert says in lines[0]
    assert done.output.rstrip().endswith(", 1 wrong")
    assert "planted" not in done.output
    assert "Traceback" not in done.output


class Careless(BaseHTTPRequestHandler):
    """Answers everybody with everything, and lets every site read it."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(body)

    do_GET = _answer
    do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def careless(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    server.handle_error = lambda *_: None  # a refused handshake is no news here
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_careless_site_is_found_out(installation: Installation) -> None:
    with careless() as url:
        done = verify(installation, "--url", url)
    assert done.exit_code == 1
    wrong = [line.removeprefix("wrong ") for line in done.output.splitlines() if line.startswith("wrong ")]
    assert wrong == [
        "strangers get 401: /api/auth/me answered 200 to somebody who is not signed in",
        "security headers: x-frame-options is there 2 times; set it once, here or in the proxy",
        "other sites may not call: an unknown site is answered with Access-Control-Allow-Origin: *",
        "large bodies are refused: a body of over 1 MiB was answered 200, not 413",
        "internal paths are not public: /metrics is served on the public address",
    ]


async def test_a_certificate_that_nobody_vouches_for_is_named(tmp_path: Path) -> None:
    with careless(self_signed(tmp_path)) as url:
        findings = {finding.what: finding.problem for finding in await outside.check(url)}
    assert "its certificate is not valid: self-signed certificate" in (findings["answers"] or "")
    assert findings["plain http leads to https"] is not None


async def test_a_site_that_does_not_answer_is_said_to() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    findings = {finding.what: finding.problem for finding in await outside.check(url)}
    assert findings["answers"] == f"no answer from {url} (ConnectError)"


def test_the_product_itself_passes(installation: Installation) -> None:
    installation.start()
    done = verify(installation, "--url", installation.url)
    assert done.exit_code == 0, done.output
    assert "ok    strangers get 401" in done.output


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "site.pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.pem")
    return context
