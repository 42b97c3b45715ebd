"""Sends what waits. One process is elected to run it, and two at once send nothing twice.

A mail is claimed for some minutes, sent with no transaction open, and only then removed. Whoever is killed in between
leaves it to be sent again, under the same id.
"""

import asyncio
import random
from datetime import timedelta

import structlog

from keybearer.keys.errors import EnvelopeError
from keybearer.kit import system
from keybearer.kit.database import Database
from keybearer.mail import metrics, store
from keybearer.mail.model import Letter, wait_after
from keybearer.mail.service import Mail
from keybearer.mail.smtp import Connection, Deferred, Post, Refused

SEND_SECONDS = 1.0
_BATCH = 20
_CLAIM = timedelta(minutes=5)

log = structlog.get_logger(__name__)


class Courier:
    def __init__(self, db: Database, mail: Mail, post: Post, *, claim: timedelta = _CLAIM) -> None:
        self._db = db
        self._mail = mail
        self._post = post
        self._claim = claim

    async def run(self) -> None:
        """Sends all that is due, or as much as the server takes."""
        while letters := await self._take():
            try:
                async with self._post.connected() as connection:
                    taken = await self._hand_in_all(connection, letters)
            except Deferred as error:
                await self._put_off(letters, error.reason)
                return
            if not taken:
                return

    async def _hand_in_all(self, connection: Connection, letters: list[Letter]) -> bool:
        """False once the server takes no more."""
        for number, letter in enumerate(letters):
            try:
                await connection.hand_in(letter)
            except Refused as error:
                log.warning("mail.refused", kind=letter.kind, answer=error.code)
                await self._remove(letter, "refused")
            except Deferred as error:
                one = error.reason.startswith("answer")  # about this mail, and not about the connection
                await self._put_off([letter] if one else letters[number:], error.reason)
                if not one:
                    return False
            else:
                await self._remove(letter, "sent")
        return True

    async def _take(self) -> list[Letter]:
        letters = []
        async with system.transaction(self._db) as tx:
            for waiting in await store.take_due(tx, _BATCH, self._claim):
                try:
                    letters.append(await self._mail.open(tx, waiting))
                except EnvelopeError:
                    log.error("mail.unreadable", kind=waiting.kind)  # noqa: TRY400 -- what it says is all there is
                    await store.remove(tx, waiting.id)
        return letters

    async def _remove(self, letter: Letter, outcome: str) -> None:
        metrics.MAILS.labels(letter.kind, outcome).inc()
        # The server has it: being stopped now must not leave it to be sent again.
        await asyncio.shield(self._removed(letter))

    async def _removed(self, letter: Letter) -> None:
        async with system.transaction(self._db) as tx:
            await store.remove(tx, letter.id)

    async def _put_off(self, letters: list[Letter], reason: str) -> None:
        log.warning("mail.put_off", mails=len(letters), reason=reason)
        async with system.transaction(self._db) as tx:
            for letter in letters:
                metrics.MAILS.labels(letter.kind, "put_off").inc()
                chance = random.random()  # noqa: S311 -- no secret
                await store.postpone(tx, letter.id, wait_after(letter.attempts, chance))


async def prune(db: Database) -> int:
    """Removes what came too late to be worth sending; how many."""
    async with system.transaction(db) as tx:
        kinds = await store.remove_expired(tx)
    for kind in kinds:
        metrics.MAILS.labels(kind, "expired").inc()
    if kinds:
        log.warning("mail.expired", mails=len(kinds))
    return len(kinds)


async def measure(db: Database) -> None:
    async with system.transaction(db) as tx:
        waiting, oldest = await store.count(tx)
    metrics.WAITING.set(waiting)
    metrics.OLDEST.set(oldest)
