"""One flight from an expired token to a new one: take the lease and lead, or follow the process that has it (R4.2)."""

import asyncio
from itertools import chain, repeat

from keybearer.keys.envelope import Owner
from keybearer.kit import faults
from keybearer.kit.breaker import Breaker, Breakers
from keybearer.kit.database import Database
from keybearer.kit.errors import Unavailable
from keybearer.providers.model import Provider
from keybearer.vault import errors, sealing
from keybearer.vault.model import Credential, Sealed
from keybearer.vault.reading import Reader
from keybearer.vault.refresh import store
from keybearer.vault.refresh.endings import Endings, Held
from keybearer.vault.refresh.exchange import Answered, End, Exchange, GaveUp, Rejected
from keybearer.vault.refresh.pauses import Pauses
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.sealing import Keys
from keybearer.vault.upstream import Upstream

_FAILURES = frozenset({"transient", "unknown", "invalid_client", "other", "not_sent"})


class Process:
    """`owner` names this process in leases; no other process may have the same."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        upstream: Upstream,
        reader: Reader,
        endings: Endings,
        breakers: Breakers,
        pauses: Pauses,
        *,
        timings: Timings,
        owner: str,
    ) -> None:
        self._db = db
        self._keys = keys
        self._upstream = upstream
        self._reader = reader
        self._endings = endings
        self._breakers = breakers
        self._pauses = pauses
        self._timings = timings
        self._owner = owner
        self._closing = False

    def close(self) -> None:
        """From now on nothing is sent to a provider; what was answered is still stored."""
        self._closing = True

    async def run(self, sealed: Sealed, why: str) -> Credential:
        """Returns or raises what every caller of this flight is told."""
        breaker = self._breakers.get((sealed.tenant_id, sealed.provider))
        while True:
            self._check(breaker)
            held = await self._claim(sealed)
            if held is None:
                await self._follow(sealed)
            else:
                await faults.reach("refresh.leased")
                await self._finish(held, await self._converse(held, breaker), why)
            current = await self._reader.read(sealed.tenant_id, sealed.connection_id)
            if current.epoch != sealed.epoch:
                return self._reader.credential(current)

    def _check(self, breaker: Breaker) -> None:
        if self._closing:
            raise errors.refresh_in_progress(1)
        if breaker.state == "open":  # a half-open one lets a single call through, which must be one that is sent
            breaker.check()

    async def _claim(self, sealed: Sealed) -> Held | None:
        owner = Owner.user(sealed.tenant_id, sealed.user_id)
        provider = self._upstream.get_provider(sealed.provider)
        async with self._db.transaction(sealed.tenant_id) as tx:
            lease = await store.claim(
                tx,
                sealed.tenant_id,
                sealed.connection_id,
                seen=sealed.epoch,
                owner=self._owner,
                seconds=self._timings.lease,
            )
            if lease is None:
                return None
            key = await self._keys.find(tx, owner)
        if key is None:
            raise errors.connection_not_found()
        try:
            secret = sealing.open_column(
                self._keys, key, owner, lease.connection_id, "refresh_token", lease.refresh_token
            )
        except Unavailable:
            async with self._db.transaction(sealed.tenant_id) as tx:
                await store.release(tx, lease, "not_sent")
            raise
        assert secret is not None, "only refreshable connections come here"
        return Held(lease, provider, owner, key, secret)

    async def _converse(self, held: Held, breaker: Breaker) -> End:
        async def hold() -> bool:
            async with self._db.transaction(held.lease.tenant_id) as tx:
                return await store.extend(tx, held.lease, self._timings.lease)

        exchange = Exchange(
            upstream=self._upstream,
            provider=held.provider,
            secret=held.secret,
            breaker=breaker,
            timings=self._timings,
            hold=hold,
            closing=lambda: self._closing,
            after_unknown=held.lease.after_unknown and _consumes(held.provider),
            unverified=held.lease.unverified and _consumes(held.provider),
        )
        return await exchange.run()

    async def _finish(self, held: Held, end: End, why: str) -> None:
        """Writes down how it ended; raises where that leaves the callers without a token for now."""
        connection_id = held.lease.connection_id
        match end:
            case Answered(answer, took):
                await faults.reach("refresh.answered")
                await self._endings.keep(held, answer, took, why)
                self._pauses.succeeded(connection_id)
            case Rejected(reason):
                await faults.reach("refresh.rejecting")
                await self._endings.reject(held, reason, why)
            case GaveUp(outcome, code, retry_after):
                await self._endings.release(held, outcome, code, why)
                seconds = self._pauses.failed(connection_id, retry_after)
                raise errors.provider_unavailable(held.provider.title, seconds)

    async def _follow(self, sealed: Sealed) -> None:
        """Returns when there is something new to read or the lease is free; shares the holder's failure."""
        waits = chain(self._timings.poll, repeat(self._timings.poll[-1]))
        while True:
            async with self._db.transaction(sealed.tenant_id) as tx:
                look = await store.look(tx, sealed.tenant_id, sealed.connection_id, sealed.epoch)
            if look is None or look.epoch != sealed.epoch or look.state != "active":
                return
            if look.free:
                if look.outcome in _FAILURES:
                    raise self._reader.provider_unavailable(sealed, self._pauses.failed(sealed.connection_id, None))
                return
            await faults.reach("refresh.following")
            await asyncio.sleep(next(waits))


def _consumes(provider: Provider) -> bool:
    """Whether asking may use the secret up: a refresh token can rotate, a client's own credentials cannot."""
    return provider.auth != "client_credentials"
