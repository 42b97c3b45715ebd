"""Runs in a pod: a person's and an agent's calls at a steady rate, and what came of each.

`load.py BASE HOST COOKIE GRANT SECONDS RATE` prints one JSON object: answers by call and status, transport errors,
the grants that were acknowledged, and the longest time without a good answer.
"""

import asyncio
import json
import sys
import time
from collections import Counter

import httpx2

BASE, HOST, COOKIE, GRANT = sys.argv[1:5]
SECONDS, RATE = float(sys.argv[5]), float(sys.argv[6])
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


async def call(client: httpx2.AsyncClient, seen: Seen, name: str) -> None:
    method, path, headers, body = CALLS[name]
    try:
        answer = await client.request(method, BASE + path, headers=headers, json=body)
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


async def main() -> None:
    seen = Seen()
    end = time.monotonic() + SECONDS
    waiting: set[asyncio.Task[None]] = set()
    # A connection of its own for each call: that a kept one ends between two calls is every client's own matter.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
        number = 0
        while time.monotonic() < end:
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
