"""The built images with each other: nginx and the UI before the backend, and a person signs in."""

import shutil
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from images.opening import Image, opened
from installation import Browser, Installation, free_port

USER = 10001

pytestmark = pytest.mark.images


@pytest.fixture(scope="module")
def backend() -> Iterator[Image]:
    yield from opened("backend")


@pytest.fixture(scope="module")
def front() -> Iterator[Image]:
    yield from opened("frontend-proxy")


@contextmanager
def by_tcp(folder: str) -> Iterator[int]:
    """A port that leads to the test database's socket, which the images' user may not open."""

    class Bridge(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as database:
                database.connect(f"{folder}/.s.PGSQL.5432")
                back = threading.Thread(target=_copy, args=(database, self.request))
                back.start()
                _copy(self.request, database)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Bridge) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side went first


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, trust_env=False, timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer:\n{log.read_text()[-3000:]}")


def test_a_person_signs_in_and_an_agent_calls(
    tmp_path, module_database, keybearer_sandbox_server, backend: Image, front: Image
) -> None:
    port = free_port(4)
    where = urlsplit(module_database.url)
    folder = parse_qs(where.query)["host"][0]
    with by_tcp(folder) as database:
        url = f"postgresql://{where.username}:{where.password}@127.0.0.1:{database}{where.path}"
        made = Installation(tmp_path / "made", url, module_database.owner_url, keybearer_sandbox_server, port=port)
        for path in (made.folder, *made.folder.rglob("*")):
            shutil.chown(path, USER, USER)
        environment = {
            name: value.replace(str(made.folder), "/etc/keybearer")
            for name, value in made.environment(port + 1, port + 2).items()
            if name.startswith("KEYBEARER_")
        } | {"KEYBEARER_TRUSTED_PROXIES": "127.0.0.1"}
        door = {
            "PUBLIC_URL": made.url,
            "BACKEND": f"127.0.0.1:{port + 1}",
            "LISTEN": f"127.0.0.1:{port}",
            "HEALTH_LISTEN": f"127.0.0.1:{port + 3}",
        }
        logs = (tmp_path / "backend.log", tmp_path / "front.log")
        mount = f"{made.folder}:/etc/keybearer:ro"
        nginx = "/opt/keybearer/entrypoint.sh nginx -e /dev/stderr -c /tmp/nginx/nginx.conf -g 'daemon off;' 2>&1 | cat"
        with (
            backend.running("keybearer", "serve", environment=environment, log=logs[0], mounts=[mount]),
            front.running("sh", "-c", nginx, environment=door, log=logs[1]),
        ):
            wait_for(f"http://127.0.0.1:{port + 2}/readyz", logs[0])
            wait_for(f"http://127.0.0.1:{port + 3}/healthz", logs[1])
            browser = Browser(made.url)
            try:
                page = browser.get("/")
                made.sign_in(browser)
                made.connect(browser)
                answer = made.call(made.grant(browser)["grant"], "spotify/v1/me")
            finally:
                browser.close()

    assert "<title>Keybearer</title>" in page.text
    assert answer.status_code == 200
