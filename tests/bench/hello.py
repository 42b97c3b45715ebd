"""The least that the same server can do: a raw ASGI answer of a given size, for comparison.

`python hello.py BYTES` prints its port once it serves.
"""

import asyncio
import sys

import uvloop
from keybearer.cli import serving
from starlette.types import Receive, Scope, Send


class Hello:
    def __init__(self, size: int) -> None:
        self._body = b"x" * size
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


async def main(size: int) -> None:
    listening = serving.listening_socket("127.0.0.1", 0)
    server = serving.server(Hello(size))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 -- uvicorn offers no event
        await asyncio.sleep(0.001)
    print(listening.getsockname()[1], flush=True)
    await running


uvloop.run(main(int(sys.argv[1])))
