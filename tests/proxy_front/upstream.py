"""A backend that writes down what reaches it, byte by byte, and answers what a test tells it to."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    headers: list[tuple[str, str]]
    connection: int
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        found = self.all(name)
        assert len(found) == 1, f"{name} came {len(found)} times: {found}"
        return found[0]


# Reads the rest of the request and answers; False ends the connection.
Script = Callable[[Seen, BinaryIO, socket.socket], bool]


def plain(answer: bytes = OK) -> Script:
    def script(_seen: Seen, _body: BinaryIO, connection: socket.socket) -> bool:
        connection.sendall(answer)
        return True

    return script


@dataclass
class Upstream:
    port: int
    seen: list[Seen] = field(default_factory=list)
    script: Script = field(default_factory=plain)

    @property
    def last(self) -> Seen:
        return self.seen[-1]


@contextmanager
def recording() -> Iterator[Upstream]:
    upstream = Upstream(0)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                while (seen := _read_head(self.rfile, self.client_address[1])) is not None:
                    upstream.seen.append(seen)
                    if not upstream.script(seen, self.rfile, self.connection):
                        return
            except (BrokenPipeError, ConnectionResetError):
                return  # nginx hung up, as some tests want

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        upstream.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join()


def read_body(seen: Seen, body: BinaryIO) -> bytes:
    if seen.all("transfer-encoding") == ["chunked"]:
        pieces = []
        while size := int(body.readline(), 16):
            pieces.append(body.read(size))
            body.readline()
        body.readline()
        return b"".join(pieces)
    length = seen.all("content-length")
    return body.read(int(length[0])) if length else b""


def _read_head(stream: BinaryIO, connection: int) -> Seen | None:
    first = stream.readline()
    if not first:
        return None
    method, target, _ = first.decode("latin-1").split(" ")
    headers = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    return Seen(method, target, headers, connection)
