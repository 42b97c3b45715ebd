"""Makes HTTP load: `wrk` where it is installed, and a small client of our own that keeps every single time."""

import asyncio
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field

import httptools
import pinned
from figures import Times

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Round:
    requests: int
    seconds: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass
class Answer:
    status: int = 0
    seconds: float = 0.0
    finished: float = 0.0  # on the clock `time.perf_counter`
    size: int = 0


@dataclass
class Client:
    """One kept-alive connection that sends one request after the other."""

    port: int
    host: str = "127.0.0.1"
    _reader: asyncio.StreamReader = field(init=False)
    _writer: asyncio.StreamWriter = field(init=False)

    async def __aenter__(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, request: bytes) -> Answer:
        """Reads the whole answer and throws its body away."""
        parsing = _Parsing()
        begun = time.perf_counter()
        self._writer.write(request)
        while not parsing.complete:
            data = await self._reader.read(2**18)
            if not data:
                raise ConnectionError(f"the server hung up after {parsing.answer}")
            parsing.parser.feed_data(data)
        parsing.answer.finished = time.perf_counter()
        parsing.answer.seconds = parsing.answer.finished - begun
        return parsing.answer


class _Parsing:
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.answer = Answer()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.answer.size += len(body)

    def on_message_complete(self) -> None:
        self.answer.status = self.parser.get_status_code()
        self.complete = True


def request(path: str, *, host: str, method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def repeat(port: int, sent: bytes, *, concurrency: int, seconds: float) -> Times:
    """Each of `concurrency` connections asks again as soon as it is answered. Anything but 200 fails."""
    times: list[float] = []

    async def ask(until: float) -> None:
        async with Client(port) as client:
            while time.perf_counter() < until:
                answer = await client.send(sent)
                if answer.status != 200:
                    raise RuntimeError(f"{sent.splitlines()[0]!r} was answered {answer.status}")
                times.append(answer.seconds)

    until = time.perf_counter() + seconds
    await asyncio.gather(*(ask(until) for _ in range(concurrency)))
    return Times(times)


def throughput(port: int, path: str, *, concurrency: int, seconds: float, **headers: str) -> Round:
    """As many requests as the server takes, from the other core."""
    wrk = shutil.which("wrk")
    if wrk is None:
        times = asyncio.run(
            repeat(port, request(path, host=f"localhost:{port}", **headers), concurrency=concurrency, seconds=seconds)
        )
        return Round(len(times.seconds), seconds, times.p99)
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = [wrk, "-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--latency", *words]
    done = subprocess.run(
        pinned.command(pinned.LOAD_CORE, *command, f"http://localhost:{port}{path}"),
        capture_output=True,
        text=True,
        check=True,
    )
    return _round(done.stdout)


def _round(said: str) -> Round:
    """What wrk printed."""
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    requests = re.search(r"(\d+) requests in ([\d.]+)(\w+),", said)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert requests is not None, said
    assert slowest is not None, said
    seconds = float(requests[2]) * _UNITS[requests[3]]
    return Round(int(requests[1]), seconds, float(slowest[1]) * _UNITS[slowest[2]])
