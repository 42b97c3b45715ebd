"""Starts Keybearer's own processes from one that has imported it already.

An import takes 1.4 s of a core, and the tests start about a hundred processes. What starts here is a process like any
other, with its own pid, settings, sockets and end; it only finds its modules in memory. `test_up.py` and others start
the real command, so that nothing rests on this.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

PIPE = subprocess.PIPE
_MODULES = (
    "keybearer.cli.main",
    "keybearer.cli.serve",
    "keybearer.cli.migrate",
    "keybearer.cli.init_database",
    "keybearer.cli.ledger",
    "keybearer.cli.restore",
    "keybearer.bootstrap.application",
)
_lock = threading.Lock()
_address: str | None = None


def environment(**given: str) -> dict[str, str]:
    """This process's own, without settings of Keybearer's but those given."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KEYBEARER_")} | given


class Process:
    """`subprocess.Popen` as far as the tests need it. `stdout` and `stderr` are text where they are pipes."""

    def __init__(self, args: Sequence[str], connection: socket.socket, stdout: IO[str] | None, stderr: IO[str] | None):
        self.args = list(args)
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._connection = connection
        self._news = connection.makefile("r")
        self.pid = int(self._news.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it still printed until it ended. Raises subprocess.TimeoutExpired."""
        texts = {"stdout": "", "stderr": ""}

        def read(name: str, stream: IO[str]) -> None:
            texts[name] = stream.read()

        streams = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [
            threading.Thread(target=read, args=(name, stream)) for name, stream in streams.items() if stream is not None
        ]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for reader in readers:
                reader.join()
        return texts["stdout"], texts["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.wait()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def _end(self) -> None:
        self.returncode = int(self._news.readline())
        self._news.close()
        self._connection.close()


def start(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
) -> Process:
    """Starts `keybearer ARGS`, or the script ARGS[0] where that ends in `.py`. Its input is empty."""
    with contextlib.ExitStack() as ours:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(_running())
        descriptors, pipes = [ours.enter_context(open(os.devnull, "rb")).fileno()], []
        for wanted in (stdout, stderr):
            pipe = None
            if wanted == PIPE:
                end, given = os.pipe()
                ours.callback(os.close, given)
                pipe = os.fdopen(end)
            elif wanted is None or isinstance(wanted, int):
                given = ours.enter_context(open(os.devnull, "wb")).fileno()
            else:
                given = wanted.fileno()
            descriptors.append(given)
            pipes.append(pipe)
        socket.send_fds(connection, [b"\n"], descriptors)
        order = {"args": list(args), "env": dict(env), "cwd": str(cwd or Path.cwd())}
        connection.sendall(json.dumps(order).encode() + b"\n")
        return Process(args, connection, *pipes)


def run(
    args: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 60, check: bool = False
) -> "subprocess.CompletedProcess[str]":
    """As `subprocess.run` with captured text. Raises what that raises."""
    with start(args, env=env, cwd=cwd, stdout=PIPE, stderr=PIPE) as process:
        printed, complained = process.communicate(timeout)
    assert process.returncode is not None
    done = subprocess.CompletedProcess(process.args, process.returncode, printed, complained)
    if check:
        done.check_returncode()
    return done


def _running() -> str:
    """The address of this process's own nursery, which ends with it."""
    global _address  # noqa: PLW0603 -- one of each process
    with _lock:
        if _address is None:
            folder = tempfile.TemporaryDirectory(prefix="kb-warm-")
            address = f"{folder.name}/s"
            nursery = subprocess.Popen(
                [sys.executable, __file__, address],
                env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )

            def end() -> None:
                assert nursery.stdin is not None
                nursery.stdin.close()
                nursery.wait()
                folder.cleanup()

            atexit.register(end)
            while not Path(address).exists():
                if nursery.poll() is not None:
                    raise AssertionError("the process that starts others has ended; see above")
                time.sleep(0.02)
            _address = address
    return _address


class _Order(NamedTuple):
    connection: socket.socket
    descriptors: list[int]
    args: list[str]
    env: dict[str, str]
    cwd: str


def _nurse(address: str) -> _Order:
    """Answers once in each process that it starts, with what that is to be; ends with its input."""
    for module in _MODULES:
        __import__(module)
    gc.freeze()  # or each process would walk through all of it, and copy it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: dict[int, socket.socket] = {}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    Path(f"{address}.new").rename(address)
    while True:
        ready, _, _ = select.select([listener, ended, 0], [], [])
        if 0 in ready:
            os._exit(0)
        if ended in ready:
            os.read(ended, 4096)
            _report(children)
        if listener in ready:
            order = _receive(listener.accept()[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for each in (listener, order.connection, *children.values()):
                    each.close()
                os.close(ended)
                os.close(wake)
                return order
            children[pid] = order.connection
            for descriptor in order.descriptors:
                os.close(descriptor)
            order.connection.sendall(f"{pid}\n".encode())


def _receive(connection: socket.socket) -> _Order:
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as lines:
        order = json.loads(lines.readline())
    return _Order(connection, descriptors, order["args"], order["env"], order["cwd"])


def _report(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(order: _Order) -> None:
    for number, descriptor in enumerate(order.descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    if order.args[0].endswith(".py"):
        sys.argv = order.args
        runpy.run_path(order.args[0], run_name="__main__")
    else:
        sys.argv = ["keybearer", *order.args]
        runpy.run_module("keybearer", run_name="__main__")


if __name__ == "__main__":
    _become(_nurse(sys.argv[1]))
