"""Which work runs by itself, and where: in every process, or in the one that holds a lease (rule R8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from keybearer.backups import background as backups
from keybearer.events import background as events
from keybearer.factors import background as factors
from keybearer.identity import background as identity
from keybearer.keys import background as keys
from keybearer.kit.leases import Elected
from keybearer.ledger import background as ledger
from keybearer.ledger.background import Sealer
from keybearer.letters import background as letters
from keybearer.letters.background import Runner
from keybearer.lockouts import background as lockouts
from keybearer.mail import background as mail
from keybearer.mail.background import Courier
from keybearer.sessions import background as sessions
from keybearer.signin import background as signin
from keybearer.vault.background import VaultWork

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services

_PRUNE_SECONDS = 60.0
_GAUGE_SECONDS = 30.0


class Background:
    """Stopped in an order that loses nothing: first who makes work, then who writes it down."""

    def __init__(self, services: Services) -> None:
        self._services = services
        db, owner = services.db, services.owner
        sealer = Sealer(db, services.signing)
        self._vault_work = VaultWork(db, services.vault, owner)

        async def prune() -> None:
            await sessions.prune(db)
            await identity.prune(db)
            await signin.prune(db)
            await events.prune(db)
            await factors.prune(db)
            await lockouts.prune(db)
            await mail.prune(db)
            await letters.prune(db)

        async def measure() -> None:
            await sessions.measure(db)
            await ledger.measure(db)
            await keys.measure(db)
            await backups.measure(db)
            await mail.measure(db)

        self._elected = [
            Elected(db, "sealer", owner, ledger.SEAL_SECONDS, sealer.run),
            Elected(db, "prune", owner, _PRUNE_SECONDS, prune),
            Elected(db, "gauges", owner, _GAUGE_SECONDS, measure),
        ]
        if services.post is not None:
            runner = Runner(db, services.errands, services.tenancy, services.people.answering.handlers)
            courier = Courier(db, services.mail, services.post)

            async def answer() -> None:
                await runner.run()
                await courier.run()

            self._elected.append(Elected(db, "mail", owner, mail.SEND_SECONDS, answer))

    def start(self) -> None:
        self._services.listener.start()
        self._services.reloader.start()
        self._services.seen_flusher.start()
        self._services.grant_use.start()
        self._vault_work.start()
        for work in self._elected:
            work.start()

    async def stop(self) -> None:
        await asyncio.gather(
            *(work.stop() for work in self._elected),
            self._vault_work.stop(),
            self._services.grant_use.stop(),
            self._services.seen_flusher.stop(),
        )
        await self._services.vault.stop()
        await self._services.reloader.stop()
        await self._services.listener.stop()
