"""TLS as the URL asks for it: the database is known by its certificate, and what is wrong is said in a sentence."""

import asyncio
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from keybearer.cli import certificates, postgres
from keybearer.cli.postgres_folder import PORT
from keybearer.kit.connecting import DatabaseAddress
from keybearer.kit.errors import ConfigurationError


@pytest.fixture(scope="module")
def made() -> certificates.ServerCertificate:
    return certificates.issue(["kb-postgres", "localhost"])


@pytest.fixture(scope="module")
def port(postgres_server: postgres.Server, made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Leads to PostgreSQL with TLS as PostgreSQL negotiates it, because the embedded one is built without."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "both.pem").write_text(made.key + made.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "both.pem")

    class Terminator(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            assert self.request.recv(8)[4:] == b"\x04\xd2\x16\x2f"  # SSLRequest
            self.request.sendall(b"S")
            try:
                client = tls.wrap_socket(self.request, server_side=True)
            except OSError:  # it does not trust us
                return
            with client, socket.socket(socket.AF_UNIX) as database:
                database.connect(str(postgres_server.socket_folder / f".s.PGSQL.{PORT}"))
                back = threading.Thread(target=copy, args=(database, client))
                back.start()
                copy(client, database)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Terminator) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


@pytest.fixture
def authority(tmp_path: Path, made) -> Path:
    path = tmp_path / "ca.crt"
    path.write_text(made.authority)
    return path


@pytest.fixture
def login(tmp_path: Path, postgres_server: postgres.Server) -> Path:
    folder = tmp_path / "login"
    folder.mkdir()
    (folder / "username").write_text(postgres.SUPERUSER)
    (folder / "password").write_text(postgres_server.superuser_dsn().partition("postgres:")[2].partition("@")[0])
    return folder


async def refused(url: str, login: Path | None) -> str:
    address = DatabaseAddress(url, login)
    with pytest.raises(ConfigurationError) as refusal, address.explained():
        await address.connect()
    return str(refusal.value)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop, as serve has it"])
def test_the_server_is_known_by_its_certificate(port: int, authority: Path, login: Path, run) -> None:
    url = f"postgresql://localhost:{port}/postgres?sslmode=verify-full&sslrootcert={authority}"

    async def ask() -> object:
        connection = await DatabaseAddress(url, login).connect()
        try:
            return await connection.fetchval("SELECT current_user")
        finally:
            await connection.close()

    assert run(ask()) == postgres.SUPERUSER


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop, as serve has it"])
def test_an_authority_that_did_not_sign_it(port: int, authority: Path, login: Path, run) -> None:
    authority.write_text(certificates.issue(["localhost"]).authority)
    said = run(refused(f"postgresql://localhost:{port}/postgres?sslmode=verify-full&sslrootcert={authority}", login))

    assert said.startswith("KEYBEARER_DATABASE_URL: the database's certificate is not valid (")
    assert "sslrootcert must be the certificate of the authority that signed" in said


async def test_a_name_that_is_not_in_it(port: int, authority: Path, login: Path) -> None:
    said = await refused(f"postgresql://127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={authority}", login)

    assert "IP address mismatch" in said
    assert "the host in the URL one of the names in it" in said


@pytest.mark.parametrize("content", ["", "no certificate"])
async def test_a_file_of_authorities_that_holds_none(port: int, authority: Path, login: Path, content: str) -> None:
    authority.write_text(content)
    said = await refused(f"postgresql://localhost:{port}/postgres?sslmode=verify-full&sslrootcert={authority}", login)

    assert "KEYBEARER_DATABASE_URL: no TLS with the database (" in said


async def test_a_server_without_tls() -> None:
    """One that answers as PostgreSQL does where TLS is off."""

    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(8)
            self.request.sendall(b"N")

    with socketserver.TCPServer(("127.0.0.1", 0), Plain) as bridge:
        thread = threading.Thread(target=bridge.handle_request)
        thread.start()
        said = await refused(f"postgresql://a:b@localhost:{bridge.server_address[1]}/c?sslmode=require", None)
        thread.join()

    assert "the database offers no TLS. Switch it on there" in said
