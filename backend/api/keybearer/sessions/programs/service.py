"""Gives programs their tokens, and replaces them (RFC 9700 section 4.14; rule R3).

A refresh token works once. Whoever presents it again within ten seconds gets the same answer, because answers are lost
and programs race themselves; later, two hold it who should be one, and all of the sign-in ends.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from keybearer.identity.model import User
from keybearer.identity.service import Identities
from keybearer.kit import tokens
from keybearer.kit.database import Database, Transaction
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.sessions.model import Opened
from keybearer.sessions.programs import errors, replay, store
from keybearer.sessions.programs.access import AccessTokens
from keybearer.sessions.programs.model import Family, Lifetimes, Pair, Presented
from keybearer.tenancy.model import Tenant


class SessionKeeper(Protocol):
    """What is needed of `sessions.service.Sessions`."""

    async def end_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID, ids: Sequence[UUID]) -> list[UUID]: ...

    async def seen_now(self, tx: Transaction, tenant_id: UUID, session_id: UUID) -> None: ...


class ProgramTokens:
    def __init__(
        self,
        db: Database,
        access: AccessTokens,
        sessions: SessionKeeper,
        identities: Identities,
        ledger: Ledger,
        lifetimes: Lifetimes,
    ) -> None:
        self._db = db
        self._access = access
        self._sessions = sessions
        self._identities = identities
        self._ledger = ledger
        self._lifetimes = lifetimes

    async def begin(self, tx: Transaction, tenant: Tenant, user: User, session: Opened, now: datetime) -> Pair:
        """The first pair of a session."""
        ends = min(session.expires_at, now + self._lifetimes.absolute)
        family = Family(uuid4(), user.id, session.id, ends)
        await store.add_family(tx, tenant.id, family)
        return await self._next(tx, tenant, user, family, now)

    async def refresh(self, tenant: Tenant, token: str) -> Pair:
        """Raises NotSignedIn: `refresh_invalid`, or `refresh_reused`, after which the sign-in is over."""
        if not tokens.is_well_formed(token, tokens.REFRESH):
            raise errors.refresh_invalid()
        digest = tokens.digest(token)
        async with self._db.transaction(tenant.id) as tx:
            family = await store.hold_family(tx, tenant.id, digest)
            presented = await store.find(tx, tenant.id, digest) if family is not None else None
            if family is None or presented is None or presented.expired:
                raise errors.refresh_invalid()
            if presented.used_at is None:
                return await self._rotate(tx, tenant, family, presented, token)
            if presented.may_be_replayed:
                return _replayed(token, digest, presented)
            await self._end(tx, tenant, family)
        # Once that is committed.
        raise errors.refresh_reused()

    async def look_up(self, tenant: Tenant, token: str) -> tuple[Family, Presented] | None:
        """What is known of a refresh token, without using it."""
        digest = tokens.digest(token)
        async with self._db.transaction(tenant.id) as tx:
            family = await store.find_family(tx, tenant.id, digest)
            presented = await store.find(tx, tenant.id, digest)
        return (family, presented) if family is not None and presented is not None else None

    async def _rotate(self, tx: Transaction, tenant: Tenant, family: Family, presented: Presented, token: str) -> Pair:
        user = await self._identities.find_user(tx, tenant.id, family.user_id)
        if user is None or user.disabled:
            raise errors.refresh_invalid()
        pair = await self._next(tx, tenant, user, family, presented.now)
        digest = tokens.digest(token)
        await store.use(tx, tenant.id, digest, presented.now, replay.seal(token, digest, pair.encoded()))
        await self._sessions.seen_now(tx, tenant.id, family.session_id)
        return pair

    async def _next(self, tx: Transaction, tenant: Tenant, user: User, family: Family, now: datetime) -> Pair:
        token = tokens.new(tokens.REFRESH)
        expires_at = min(family.expires_at, now + self._lifetimes.idle)
        await store.add(tx, tenant.id, tokens.digest(token), family.id, expires_at)
        access, expires_in = self._access.issue(tenant, user, family.session_id, family.expires_at)
        return Pair(access, token, expires_in)

    async def _end(self, tx: Transaction, tenant: Tenant, family: Family) -> None:
        await self._sessions.end_of(tx, tenant.id, family.user_id, [family.session_id])
        await self._ledger.record(
            tx,
            Entry(
                tenant_id=tenant.id,
                action="session.token_reused",
                outcome="denied",
                user_id=family.user_id,
                code=errors.refresh_reused().code,
            ),
        )


def _replayed(token: str, digest: bytes, presented: Presented) -> Pair:
    answer = replay.open_sealed(token, digest, presented.replay or b"")
    if answer is None:
        raise errors.refresh_invalid()
    return Pair.decoded(answer)
