"""A real Valkey, or a Redis, which speaks the same, in a process of its own."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from installation import free_port

_NAMES = ("valkey-server", "redis-server")


class Valkey:
    """Can be stopped, frozen and started again at the same port, and has then forgotten everything."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"valkey://:s3cret-of-a-test@127.0.0.1:{self.port}"

    def start(self) -> None:
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "requirepass": "s3cret-of-a-test"}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([self._program, *words], cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, signal: int) -> None:
        assert self._process is not None
        self._process.send_signal(signal)


def program() -> str:
    named = os.environ.get("KEYBEARER_TEST_VALKEY")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("No valkey-server or redis-server is on PATH; KEYBEARER_TEST_VALKEY may name one.")
    return found
