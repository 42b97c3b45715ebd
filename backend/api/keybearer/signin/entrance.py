"""The last step of every sign-in, whatever was shown before: a session, and what goes with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from keybearer.http.principal import not_signed_in
from keybearer.identity.model import User
from keybearer.kit.database import Transaction
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.lockouts.model import Source
from keybearer.lockouts.service import Lockouts
from keybearer.rooms.service import Rooms, RoomToken
from keybearer.sessions.model import Opened, Proof
from keybearer.sessions.programs.model import Pair
from keybearer.sessions.programs.service import ProgramTokens
from keybearer.sessions.service import Sessions
from keybearer.tenancy.model import Tenant


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, and from where.

    A browser gets a cookie, which script cannot read; `principal` is whose session it came with, and `flow` its secret
    that challenges and flows are bound to.
    """

    user_agent: str
    browser: bool
    source: Source
    principal: Principal | None = None
    flow: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Entered:
    """`pair` is None for a browser, `room` where there is no LiveKit server."""

    user: User
    session: Opened
    pair: Pair | None
    room: RoomToken | None = None


class Entrance:
    def __init__(
        self,
        sessions: Sessions,
        programs: ProgramTokens,
        lockouts: Lockouts,
        rooms: Rooms,
        ledger: Ledger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sessions = sessions
        self._programs = programs
        self._lockouts = lockouts
        self._rooms = rooms
        self._ledger = ledger
        self._now = now

    async def let_in(
        self,
        tx: Transaction,
        tenant: Tenant,
        user: User,
        client: Client,
        way: str,
        *,
        proof: Proof | None,
        account: str | None,
    ) -> Entered:
        """`way` is a provider's name, `password` or `passkey`; `account` what the person calls themselves there."""
        # A sign-in never keeps the token that the browser came with.
        if client.browser and client.principal is not None:
            await self._sessions.replace(tx, client.principal)
        session = await self._sessions.open(tx, tenant.id, user.id, way, client.user_agent, proof)
        pair = None if client.browser else await self._programs.begin(tx, tenant, user, session, self._now())
        await self._lockouts.remember(tx, tenant.id, user.id, client.source)
        entry = Entry(
            tenant_id=tenant.id,
            action="sign_in",
            actor_kind="person",
            user_id=user.id,
            provider=way,
            detail={"account": account},
        )
        await self._ledger.record(tx, entry)
        return Entered(user, session, pair)

    async def with_room(self, tenant: Tenant, entered: Entered) -> Entered:
        """With a token for the person's own room, after the commit."""
        principal = await self._sessions.find_principal(entered.session.token)
        if principal is None:
            raise not_signed_in()
        return Entered(entered.user, entered.session, entered.pair, self._rooms.own_token(principal, tenant))
