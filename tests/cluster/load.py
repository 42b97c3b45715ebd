"""Runs in a pod: a person's and an agent's calls at a steady rate, and what came of each.

`load.py BASE HOST COOKIE GRANT SECONDS RATE [SANDBOX [CALL]]` prints one JSON object: answers by call and status,
transport errors, the grants that were acknowledged, and the longest time without a good answer. With the sandbox's
address, people sign in too; with a CALL, it makes that one alone. It ends early once there is a file /tmp/end.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

BASE, HOST, COOKIE, GRANT = sys.argv[1:5]
SECONDS, RATE = float(sys.argv[5]), float(sys.argv[6])
SANDBOX = sys.argv[7] if len(sys.argv) > 7 else None
PERSON = {"host": HOST, "cookie": f"keybearer_session={COOKIE}"}
AGENT = {"host": HOST, "authorization": f"Bearer {GRANT}"}
CALLS = {
    "me": ("GET", "/api/auth/me", PERSON, None),
    "connections": ("GET", "/api/connections", PERSON, None),
    "proxy": ("GET", "/api/proxy/spotify/v1/me", AGENT, None),
    "grant": (
        "POST",
        "/api/grants",
        {**PERSON, "origin": f"http://{HOST}"},
        {"agent": "load", "providers": ["spotify"]},
    ),
}
ORDER = ["me", "connections", "proxy", "me", "proxy", "connections", "me", "proxy", "me", "grant"]
if SANDBOX is not None:
    ORDER.append("sign_in")
ORDER = sys.argv[8:] or ORDER


class Seen:
    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.grants: list[str] = []
        self.last_good = time.monotonic()
        self.longest = 0.0

    def good(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last_good)
        self.last_good = now


def at(base: str | None, url: str) -> str:
    """The same path and query somewhere else: inside, everything has another address."""
    parts = urlsplit(url)
    return f"{base}{parts.path}?{parts.query}"


async def sign_in(client: httpx2.AsyncClient) -> httpx2.Response:
    """The last answer is the backend's, which opens a session."""
    started = await client.get(f"{BASE}/api/auth/google/start", headers={"host": HOST})
    if started.status_code != 302:
        return started
    flow = started.headers["set-cookie"].partition(";")[0]
    consented = await client.get(at(SANDBOX, started.headers["location"]) + "&sandbox_account=bob@example.com")
    back = at(BASE, consented.headers["location"])
    return await client.get(back, headers={"host": HOST, "cookie": flow})


async def ask(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    if name == "sign_in":
        return await sign_in(client)
    method, path, headers, body = CALLS[name]
    return await client.request(method, BASE + path, headers=headers, json=body)


async def call(client: httpx2.AsyncClient, seen: Seen, name: str) -> None:
    try:
        answer = await ask(client, name)
    except httpx2.TransportError as error:
        seen.errors[f"{name} {type(error).__name__}"] += 1
        return
    seen.answers[f"{name} {answer.status_code}"] += 1
    if answer.status_code < 400:
        seen.good()
        if name == "grant":
            seen.grants.append(answer.json()["id"])
    else:
        seen.problems[f"{name} {answer.status_code} {answer.text[:200]}"] += 1


async def reached(client: httpx2.AsyncClient) -> None:
    """A new pod's network may need a moment, until its policies are known everywhere."""
    for _ in range(50):
        try:
            await asyncio.gather(*(client.get(base) for base in (BASE, SANDBOX) if base))
        except httpx2.TransportError:
            await asyncio.sleep(0.2)
        else:
            return


async def main() -> None:
    seen = Seen()
    end = time.monotonic() + SECONDS
    waiting: set[asyncio.Task[None]] = set()
    # A connection of its own for each call: that a kept one ends between two calls is every client's own matter.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
        await reached(client)
        number = 0
        while time.monotonic() < end and not Path("/tmp/end").exists():
            task = asyncio.create_task(call(client, seen, ORDER[number % len(ORDER)]))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            number += 1
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*waiting)
    print(
        json.dumps(
            {
                "answers": seen.answers,
                "problems": seen.problems,
                "errors": seen.errors,
                "grants": seen.grants,
                "longest_gap": max(seen.longest, 0.0),
            }
        )
    )


asyncio.run(main())
