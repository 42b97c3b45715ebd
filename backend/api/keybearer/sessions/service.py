"""Opens, lists and ends sessions, and tells who is calling."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from starlette.requests import Request

from keybearer.events.service import Events
from keybearer.http.principal import not_signed_in
from keybearer.kit import context, tokens
from keybearer.kit.database import Database, Transaction, notify
from keybearer.kit.errors import NotFound
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.sessions import bearers, device, store
from keybearer.sessions.api_keys.errors import scope_missing
from keybearer.sessions.api_keys.model import allows
from keybearer.sessions.cache import Closer
from keybearer.sessions.cookies import SessionCookie
from keybearer.sessions.devices import Devices
from keybearer.sessions.model import LIFETIME, Opened, Proof, Resolved, Session
from keybearer.sessions.programs import access
from keybearer.sessions.programs.access import AccessTokens
from keybearer.sessions.resolver import BearerResolver
from keybearer.sessions.seen import LastSeen
from keybearer.tenancy.model import Tenant
from keybearer.tenancy.service import tenant_of

_PERSONAL = frozenset({"session", "access", "api_key"})


class Sessions:
    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        events: Events,
        resolver: BearerResolver,
        last_seen: LastSeen,
        cookie: SessionCookie,
        devices: Devices,
        access_tokens: AccessTokens,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._events = events
        self._resolver = resolver
        self._last_seen = last_seen
        self._devices = devices
        self._access = access_tokens
        self._now = now
        self.cookie = cookie

    async def open(
        self,
        tx: Transaction,
        tenant_id: UUID,
        user_id: UUID,
        provider: str,
        user_agent: str,
        proof: Proof | None = None,
    ) -> Opened:
        """A new session; the caller gives its token away after the commit.

        `proof` says what the person showed just now, where that may count as a step-up.
        """
        now = self._now()
        session = Session(
            id=uuid4(),
            user_id=user_id,
            provider=provider,
            device=device.describe(user_agent),
            address=context.request.get().address,
            created_at=now,
            last_seen_at=now,
            expires_at=now + LIFETIME,
        )
        token = tokens.new(tokens.SESSION)
        await store.add(tx, tenant_id, session, proof)
        await bearers.add(tx, "session", token, tenant_id, session.id, session.expires_at)
        await self._devices.signed_in(tx, tenant_id, session)
        return Opened(session.id, token, session.expires_at)

    async def find_principal(self, token: str) -> Principal | None:
        """Whose session a token opens."""
        resolved = await self._resolver.resolve(token)
        return resolved.principal if resolved is not None and resolved.kind == "session" else None

    async def prove(self, tx: Transaction, principal: Principal, by: str) -> str:
        """A step-up: the session goes on under a new token, and the old one ends. Raises NotSignedIn.

        So whoever copied the token before gains nothing from it.
        """
        proof = Proof(by=by, at=self._now())
        expires_at = await store.prove(tx, principal.tenant_id, principal.session_id, proof)
        if expires_at is None:
            raise not_signed_in()
        token = tokens.new(tokens.SESSION)
        await bearers.remove(tx, principal.tenant_id, "session", [principal.session_id])
        await bearers.add(tx, "session", token, principal.tenant_id, principal.session_id, expires_at)
        return token

    async def find_proof(self, tx: Transaction, principal: Principal) -> Proof | None:
        return await store.find_proof(tx, principal.tenant_id, principal.session_id)

    async def authenticate(self, request: Request) -> Principal | None:
        """Implements `keybearer.http.principal.Authenticator`."""
        resolved = await self._resolve(request)
        return resolved.principal if resolved is not None else None

    async def on_end(self, request: Request, close: Closer) -> Closer:
        """Calls `close` when the request's session ends; the answer unregisters it. Raises NotSignedIn."""
        resolved = await self._resolve(request)
        if resolved is None:
            raise not_signed_in()
        return self._resolver.on_revoked(resolved, close)

    async def list_own(self, principal: Principal) -> list[Session]:
        async with self._db.transaction(principal.tenant_id) as tx:
            return await store.list_of(tx, principal.tenant_id, principal.user_id)

    async def end(self, principal: Principal, session_id: UUID) -> None:
        """Raises NotFound("session_not_found")."""
        action = "sign_out" if session_id == principal.session_id else "session.ended"
        async with self._db.transaction(principal.tenant_id) as tx:
            if not await self.end_of(tx, principal.tenant_id, principal.user_id, [session_id]):
                raise NotFound("session_not_found", "You have no such session. It may have ended already.")
            await self._record(tx, principal, action)

    async def end_others(self, principal: Principal, tx: Transaction) -> int:
        """How many were ended. The caller's own stays."""
        mine = await store.list_of(tx, principal.tenant_id, principal.user_id)
        others = [session.id for session in mine if session.id != principal.session_id]
        ended = await self.end_of(tx, principal.tenant_id, principal.user_id, others)
        await self._record(tx, principal, "sessions.ended", ended=len(ended))
        return len(ended)

    async def replace(self, tx: Transaction, principal: Principal) -> None:
        """Ends the session that a browser came with, because a new one takes its place."""
        await self.end_of(tx, principal.tenant_id, principal.user_id, [principal.session_id])

    async def end_all(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> int:
        """How many were ended."""
        mine = await store.list_of(tx, tenant_id, user_id)
        return len(await self.end_of(tx, tenant_id, user_id, [session.id for session in mine]))

    async def end_of(self, tx: Transaction, tenant_id: UUID, user_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Ends those of the person's sessions, with what programs hold of them; answers which there were."""
        ended = await store.remove(tx, tenant_id, user_id, ids)
        await bearers.remove(tx, tenant_id, "session", ended)
        for session_id in ended:
            # Access tokens are nowhere to be removed; whoever remembers one is told.
            await notify(tx, "session", session_id)
            await self._events.publish(tx, tenant_id, user_id, "session.revoked", {"id": str(session_id)})
        return ended

    async def seen_now(self, tx: Transaction, tenant_id: UUID, session_id: UUID) -> None:
        """It was used in a way that leaves no trace in memory."""
        await store.seen_now(tx, tenant_id, session_id)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        removed = await store.erase(tx, tenant_id, user_id)
        await bearers.remove(tx, tenant_id, "session", removed)
        await store.erase_devices(tx, tenant_id, user_id)

    async def _resolve(self, request: Request) -> Resolved | None:
        tenant = tenant_of(request.scope)
        resolved = await self._present(request, tenant)
        # A tenant's host accepts that tenant's sessions alone.
        if resolved is None or resolved.kind not in _PERSONAL or resolved.tenant_id != tenant.id:
            return None
        if resolved.kind == "api_key" and not allows(resolved.scopes, request.method, request.url.path):
            raise scope_missing()
        self._last_seen.note(resolved)
        return resolved

    async def _present(self, request: Request, tenant: Tenant) -> Resolved | None:
        """What the request came with. A header is what the caller chose, so a cookie beside it does not count."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = bearer.strip()
            if access.looks_like_one(token):
                return await self._resolver.resolve_access(token, lambda: self._access.read(tenant, token))
            return await self._resolver.resolve(token)
        cookie = self.cookie.read(request.headers.get("cookie", "").encode("latin-1"))
        if cookie is None or not cookie.startswith(tokens.SESSION):
            return None
        return await self._resolver.resolve(cookie)

    async def _record(self, tx: Transaction, principal: Principal, action: str, **detail: object) -> None:
        await self._ledger.record(
            tx,
            Entry(
                tenant_id=principal.tenant_id,
                action=action,
                actor_kind="person",
                user_id=principal.user_id,
                detail=detail,
            ),
        )
