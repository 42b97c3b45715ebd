"""Runs in a pod: people in rooms of their own, each of whom asks the agent something every second until told to leave.

`callers.py URL ROOM…` prints one JSON object: of each room how often was asked and answered, the longest wait for an
answer in seconds, and how often its agent left before the person did. A person leaves once there is a file
/tmp/leave-ROOM; /tmp/calling is there once every room has had an answer.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from keybearer_agent.dispatch import dispatch
from livekit import api, rtc

URL, *ROOMS = sys.argv[1:]
TMP = Path("/tmp")


class Call:
    def __init__(self, name: str) -> None:
        self.name = name
        self.room = rtc.Room()
        self.asked = self.answered = self.dropped = 0
        self.longest = 0.0
        self._agent = ""
        self._over = False
        self._heard = asyncio.Event()
        self._reading: set[asyncio.Task[None]] = set()

    async def begin(self, client: api.LiveKitAPI) -> None:
        self.room.register_text_stream_handler("lk.transcription", self._on_stream)
        grants = api.VideoGrants(room_join=True, room=self.name)
        await self.room.connect(URL, api.AccessToken().with_identity("alice").with_grants(grants).to_jwt())
        self._agent = await dispatch(client, self.name, "aide", patience=60)
        self.room.on("participant_disconnected", lambda left: self._left(left.identity))
        await self.ask()

    async def ask(self) -> None:
        self._heard.clear()
        began = time.monotonic()
        self.asked += 1
        await self.room.local_participant.send_text("Hello", topic="lk.chat")
        try:
            async with asyncio.timeout(30):
                await self._heard.wait()
            self.answered += 1
        except TimeoutError:
            pass  # the difference of the two counts tells it
        self.longest = max(self.longest, time.monotonic() - began)

    async def last(self) -> None:
        while not (TMP / f"leave-{self.name}").exists():
            await self.ask()
            await asyncio.sleep(1)
        self._over = True
        await self.room.disconnect()

    def told(self) -> dict[str, float]:
        return {
            "asked": self.asked,
            "answered": self.answered,
            "dropped": self.dropped,
            "longest": round(self.longest, 1),
        }

    def _left(self, identity: str) -> None:
        self.dropped += identity == self._agent and not self._over

    def _on_stream(self, reader: rtc.TextStreamReader, _: str) -> None:
        task = asyncio.create_task(self._read(reader))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        await reader.read_all()
        self._heard.set()


async def main() -> None:
    calls = [Call(name) for name in ROOMS]
    async with api.LiveKitAPI(URL) as client:
        await asyncio.gather(*(call.begin(client) for call in calls))
        (TMP / "calling").touch()
        await asyncio.gather(*(call.last() for call in calls))
    print(json.dumps({call.name: call.told() for call in calls}))


asyncio.run(main())
