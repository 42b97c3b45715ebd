"""A wire to the API server that can be cut: an operator behind it is partitioned, and lives."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from cluster.kube import run


class Wire:
    """Forwards bytes between a port of its own and the API server; what is sent while it is cut arrives afterwards."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._whole = threading.Event()
        self._whole.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        """Ends when all that went over it has ended; whoever uses it has to be gone."""
        self._whole.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join(timeout=10)

    def _accept(self) -> None:
        carrying = []
        with self._listening, suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                carrying.append(threading.Thread(target=self._connect, args=(near,), daemon=True))
                carrying[-1].start()
        for each in carrying:
            each.join()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                sink.sendall(data)
            self._whole.wait()
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def wired(folder: Path) -> Iterator[tuple[Wire, Path]]:
    """A wire, and a KUBECONFIG that leads over it; the certificate does not name the wire, so it is not asked for."""
    config = yaml.safe_load(run("kubectl", "config", "view", "--raw", "--minify", "--flatten"))
    cluster = config["clusters"][0]["cluster"]
    address = urlsplit(cluster["server"])
    wire = Wire(str(address.hostname), address.port or 443)
    cluster["server"] = f"https://127.0.0.1:{wire.port}"
    cluster["insecure-skip-tls-verify"] = True
    cluster.pop("certificate-authority-data", None)
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    try:
        yield wire, path
    finally:
        wire.close()
