"""Nothing waits in nginx: live updates, bodies both ways, and what is under way when it is told to stop."""

import hashlib
import http.client
import signal
import socket
import threading
import time
from contextlib import closing

import psutil
import pytest
from proxy_front.conftest import ROOMY
from proxy_front.front import Front, front
from proxy_front.upstream import Upstream, recording

MIB = 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


def opened(front: Front, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", front.port), timeout=10)
    connection.sendall(request)
    return connection


def read_until(connection: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        piece = connection.recv(65_536)
        assert piece, f"it ended before {wanted!r} came: {found!r}"
        found += piece
    return found


@pytest.mark.parametrize("path", ["/api/events", "/api/proxy/x/v1/chat"])
def test_each_event_arrives_when_it_is_sent(plain_front: Front, upstream: Upstream, path: str) -> None:
    """The next one is sent only when the last one was read; buffered, the first would never come."""
    read = threading.Semaphore(0)

    def script(_seen, _body, connection) -> bool:
        connection.sendall(CHUNKED)
        for number in range(5):
            connection.sendall(chunk(b"id: %d\n\n" % number))
            assert read.acquire(timeout=10)
        connection.sendall(b"0\r\n\r\n")
        return False

    upstream.script = script
    with closing(
        opened(plain_front, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    ) as stream:
        for number in range(5):
            read_until(stream, b"id: %d\n\n" % number)
            read.release()
        read_until(stream, b"0\r\n\r\n")


def test_an_upload_is_passed_on_while_it_comes(plain_front: Front, upstream: Upstream) -> None:
    arrived = threading.Event()

    def script(_seen, body, connection) -> bool:
        assert body.read(5) == b"first"
        arrived.set()
        assert body.read(6) == b"second"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return False

    upstream.script = script
    head = b"POST /api/proxy/x/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"
    with closing(opened(plain_front, head + b"first")) as stream:
        assert arrived.wait(10)
        stream.sendall(b"second")
        read_until(stream, b"200 OK")


def test_a_large_upload_arrives_whole(plain_front: Front, upstream: Upstream) -> None:
    body = bytes(range(256)) * 4096 * 20
    found = hashlib.sha256()

    def script(_seen, stream, connection) -> bool:
        left = len(body)
        while left:
            piece = stream.read(min(left, 65_536))
            found.update(piece)
            left -= len(piece)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return False

    upstream.script = script

    assert plain_front.ask("/api/proxy/x/upload", "PUT", body=body).status == 200
    assert found.digest() == hashlib.sha256(body).digest()
    assert list((plain_front.folder / "run" / "body").iterdir()) == []


def download(front: Front, upstream: Upstream, size: int) -> int:
    """How much the worker grew at most while it passed on `size` bytes."""
    piece = b"x" * MIB

    def script(_seen, _body, connection) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            connection.sendall(piece)
        return False

    upstream.script = script
    worker = psutil.Process(front.workers()[0])
    before, most, left = worker.memory_info().rss, 0, size
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
    with closing(connection):
        connection.request("GET", "/api/proxy/x/v1/stream")
        answer = connection.getresponse()
        while read := answer.read(MIB):
            left -= len(read)
            most = max(most, worker.memory_info().rss - before)
    assert left == 0
    return most


def test_a_large_download_needs_no_memory(plain_front: Front, upstream: Upstream) -> None:
    assert download(plain_front, upstream, 64 * MIB) < 8 * MIB


@pytest.mark.long
def test_a_gibibyte_needs_no_more(plain_front: Front, upstream: Upstream) -> None:
    assert download(plain_front, upstream, 1024 * MIB) < 8 * MIB


@pytest.mark.long
@pytest.mark.timeout(700)
def test_live_updates_for_ten_minutes(plain_front: Front, upstream: Upstream) -> None:
    """With a comment every 15 seconds, as the backend sends them."""

    def script(_seen, _body, connection) -> bool:
        connection.sendall(CHUNKED)
        for _ in range(40):
            connection.sendall(chunk(b": alive\n\n"))
            time.sleep(15)
        connection.sendall(chunk(b"last\n\n") + b"0\r\n\r\n")
        return False

    upstream.script = script
    with closing(opened(plain_front, b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")) as stream:
        stream.settimeout(30)
        assert read_until(stream, b"last\n\n").count(b": alive") == 40


def test_told_to_stop_it_finishes_what_is_under_way(tmp_path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def script(_seen, _body, connection) -> bool:
        reached.set()
        assert go_on.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        return False

    with recording() as upstream, front(tmp_path, upstream.port, **ROOMY) as started:
        upstream.script = script
        with closing(opened(started, b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")) as under_way:
            assert reached.wait(10)
            started.process.send_signal(signal.SIGQUIT)
            _wait_until_closed(started)
            go_on.set()
            assert b"done" in read_until(under_way, b"done")
        assert started.process.wait(timeout=10) == 0


def test_a_stream_without_end_does_not_hold_it_up_for_ever(tmp_path) -> None:
    gone = threading.Event()

    def script(_seen, _body, connection) -> bool:
        connection.sendall(CHUNKED + chunk(b"first\n\n"))
        while connection.recv(1):
            pass
        gone.set()
        return False

    with recording() as upstream, front(tmp_path, upstream.port, DRAIN_SECONDS="1", **ROOMY) as started:
        upstream.script = script
        with closing(opened(started, b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")) as stream:
            read_until(stream, b"first")
            started.process.send_signal(signal.SIGQUIT)
            assert started.process.wait(timeout=10) == 0
            assert gone.wait(10)


def _wait_until_closed(started: Front) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", started.port), timeout=1).close()
        except ConnectionRefusedError:
            return
        except (TimeoutError, ConnectionResetError):
            continue  # it came while the socket was being closed; the next one tells
        time.sleep(0.02)
    raise AssertionError("it still takes new connections")
