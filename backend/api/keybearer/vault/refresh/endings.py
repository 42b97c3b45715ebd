"""How a lease ends: the answer kept, the credential rejected, or given back with nothing. Each tells the ledger."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat

import structlog

from keybearer.keys.envelope import Owner
from keybearer.kit import faults
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import Unavailable
from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer
from keybearer.vault import metrics, sealing
from keybearer.vault.record import Recorder, Subject
from keybearer.vault.refresh import store
from keybearer.vault.refresh.store import Lease, Renewed
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.sealing import Keys, WrappedKey
from keybearer.vault.upstream import Upstream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease with what was opened under it. `secret`: the refresh token, or the form's fields as JSON."""

    lease: Lease
    provider: Provider
    owner: Owner
    key: WrappedKey = field(repr=False)
    secret: str = field(repr=False)

    @property
    def subject(self) -> Subject:
        lease = self.lease
        return Subject(lease.tenant_id, lease.user_id, lease.connection_id, lease.provider, lease.account_name)


class Endings:
    def __init__(
        self,
        db: Database,
        keys: Keys,
        upstream: Upstream,
        recorder: Recorder,
        *,
        timings: Timings,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._keys = keys
        self._upstream = upstream
        self._recorder = recorder
        self._timings = timings
        self._clock = clock

    async def keep(self, held: Held, answer: TokenAnswer, took: float, why: str) -> None:
        """Returns once the answer is stored, or known to have come too late; however long the database is away.

        Until then it exists only here, and the old refresh token may already be void.
        """
        renewed = self._renewed(held, answer, took)
        for wait in chain(self._timings.store, repeat(self._timings.store[-1])):
            try:
                kept = await self._keep_once(held, renewed, why)
            except Unavailable:
                log.warning("vault.refresh.not_stored_yet", connection=str(held.lease.connection_id))
                await asyncio.sleep(wait)
            except Exception:  # whatever it is: the answer must not be lost to it
                log.exception("vault.refresh.not_stored_yet", connection=str(held.lease.connection_id))
                await asyncio.sleep(wait)
            else:
                break
        if kept:
            await faults.reach("refresh.stored")
            self._count(held, "refreshed")
        else:
            await self._drop(held, answer, why)

    async def reject(self, held: Held, reason: str, why: str) -> None:
        """The provider takes it no more; only the person can help. The ciphertext stays."""
        async with self._db.transaction(held.lease.tenant_id) as tx:
            rejected = await store.reject(tx, held.lease, reason)
            if rejected:
                await self._recorder.by_system(
                    tx,
                    held.subject,
                    "connection.needs_reconnect",
                    outcome="failed",
                    code=reason,
                    detail={"why": why},
                )
                await self._recorder.changed(tx, held.subject, "needs_reconnect")
        if rejected:
            log.warning(
                "vault.connection.needs_reconnect",
                connection=str(held.lease.connection_id),
                provider=held.provider.name,
                reason=reason,
            )
            self._count(held, reason)

    async def release(self, held: Held, outcome: str, code: str, why: str) -> None:
        """Gives the lease back with nothing. If even that fails, the lease ends by itself."""
        log.warning("vault.refresh.failed", provider=held.provider.name, outcome=outcome, code=code)
        self._count(held, outcome)
        try:
            async with self._db.transaction(held.lease.tenant_id) as tx:
                await store.release(tx, held.lease, outcome)
                if outcome != "not_sent":
                    await self._tell_failure(tx, held, outcome, code, why)
        except Unavailable:
            log.warning("vault.refresh.not_released", connection=str(held.lease.connection_id))

    async def _tell_failure(self, tx: Transaction, held: Held, outcome: str, code: str, why: str) -> None:
        look = await store.look(tx, held.lease.tenant_id, held.lease.connection_id, held.lease.seen)
        if look is None:
            return  # erased meanwhile; a row about it would begin a new data key for someone who is gone
        await self._recorder.by_system(
            tx,
            held.subject,
            "connection.refresh_failed",
            outcome="unknown" if outcome == "unknown" else "failed",
            code=outcome,
            detail={"why": why, "provider_said": code or None},
        )
        if outcome == "invalid_client":
            await self._recorder.changed(tx, held.subject, look.state)

    async def _keep_once(self, held: Held, renewed: Renewed, why: str) -> bool:
        async with self._db.transaction(held.lease.tenant_id) as tx:
            if not await store.keep(tx, held.lease, renewed):
                return await store.was_kept(tx, held.lease)
            detail: dict[str, object] = {"why": why}
            if renewed.reason is not None:
                detail["lost_scopes"] = sorted(set(held.lease.scopes) - set(renewed.scopes))
                await self._recorder.changed(tx, held.subject, "active")
            await self._recorder.by_system(tx, held.subject, "connection.refreshed", detail=detail)
        return True

    async def _drop(self, held: Held, answer: TokenAnswer, why: str) -> None:
        """The connection moved on while we asked. What we got is of no use, and must not outlive a disconnect."""
        async with self._db.transaction(held.lease.tenant_id) as tx:
            look = await store.look(tx, held.lease.tenant_id, held.lease.connection_id, held.lease.seen)
            await store.release(tx, held.lease, "superseded")
            await self._tell_failure(tx, held, "superseded", "", why)
        await faults.reach("refresh.dropped")
        self._count(held, "superseded")
        log.warning("vault.refresh.dropped", connection=str(held.lease.connection_id))
        if look is None or look.state == "revoked":
            await self._upstream.revoke(
                held.provider, access_token=answer.access_token, refresh_token=answer.refresh_token
            )

    def _renewed(self, held: Held, answer: TokenAnswer, took: float) -> Renewed:
        """No refresh token in the answer: the old one goes on (RFC 6749 section 6)."""
        scopes = held.lease.scopes if answer.scopes is None else answer.scopes
        by_form = held.provider.auth == "client_credentials"
        access_token = self._seal(held, "access_token", answer.access_token)
        assert access_token is not None
        return Renewed(
            access_token=access_token,
            refresh_token=None if by_form else self._seal(held, "refresh_token", answer.refresh_token),
            id_token=self._seal(held, "id_token", answer.id_token),
            expires_at=expiry(self._clock(), answer, took),
            scopes=scopes,
            reason="scope_reduced" if set(held.lease.scopes) - set(scopes) else None,
        )

    def _seal(self, held: Held, column: str, secret: str | None) -> bytes | None:
        return sealing.seal_column(self._keys, held.key, held.owner, held.lease.connection_id, column, secret)

    def _count(self, held: Held, outcome: str) -> None:
        metrics.REFRESHES.labels(held.provider.name, outcome).inc()


def expiry(now: datetime, answer: TokenAnswer, took: float) -> datetime | None:
    """Counted from when we asked, because the provider counted from some moment after that."""
    if answer.expires_in is None:
        return None
    return now + timedelta(seconds=answer.expires_in - took)
