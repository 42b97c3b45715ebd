"""The vault: people's credentials at providers, handed out as short-lived tokens and never any other way."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from keybearer.events.service import Events
from keybearer.kit.breaker import Breakers
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError
from keybearer.kit.principal import Principal
from keybearer.ledger.service import Ledger
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer, TokenRequestFailed
from keybearer.vault import errors, forms, store
from keybearer.vault.keeping import Keeping, subject_of
from keybearer.vault.model import AccessToken, Connection, Credential, Sealed, reminder_due
from keybearer.vault.reading import FORMS, Reader
from keybearer.vault.record import Recorder, Subject
from keybearer.vault.refresh.endings import Endings
from keybearer.vault.refresh.pauses import Pauses
from keybearer.vault.refresh.process import Process
from keybearer.vault.refresh.service import Refresher, Why
from keybearer.vault.refresh.timings import Timings
from keybearer.vault.revocation import Revoker
from keybearer.vault.sealing import Keys
from keybearer.vault.upstream import Upstream
from keybearer.vault.usage import Usage

_RETRY_AFTER = 5


class EndGrants(Protocol):
    """Ends the grants that hold a connection, in the transaction that ends the connection; answers how many."""

    async def __call__(self, tx: Transaction, tenant_id: UUID, connection_id: UUID) -> int: ...


class RequireProof(Protocol):
    """Raises ReauthenticationNeeded unless the person showed lately that it is them."""

    async def __call__(self, principal: Principal) -> None: ...


class AgentsOf(Protocol):
    """Connection id → names of the agents whose live grants hold it."""

    async def __call__(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> Mapping[UUID, Sequence[str]]: ...


class Vault:
    """`owner` names this process among all others (`kit.leases.process_name`)."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        upstream: Upstream,
        ledger: Ledger,
        events: Events,
        *,
        breakers: Breakers,
        owner: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timings: Timings | None = None,
    ) -> None:
        timings = timings or Timings()
        self._db = db
        self._upstream = upstream
        self._clock = clock
        self._recorder = Recorder(ledger, events)
        self._reader = Reader(db, keys, upstream, clock)
        self._keeping = Keeping(keys, self._recorder, clock)
        self._revoker = Revoker(db, keys, upstream)
        pauses = Pauses(timings)
        endings = Endings(db, keys, upstream, self._recorder, timings=timings, clock=clock)
        process = Process(db, keys, upstream, self._reader, endings, breakers, pauses, timings=timings, owner=owner)
        self._refresher = Refresher(process, self._reader, pauses, timings)
        self.breakers = breakers
        self.usage = Usage(clock)

    async def access_token(self, tenant_id: UUID, connection_id: UUID) -> Credential:
        """Valid for at least 60 s, or fresh from the provider where that gives shorter ones.

        Raises NotFound("connection_not_found"), Conflict (`connection_revoked`, `needs_reconnect`) and Unavailable
        (`refresh_in_progress`, `provider_unavailable`, `database_unavailable`).
        """
        joined = await self._refresher.join(tenant_id, connection_id)
        if joined is not None:
            return joined
        sealed = await self._reader.read(tenant_id, connection_id)
        if self._reader.is_valid(sealed):
            return self._reader.credential(sealed)
        if not sealed.refreshable:
            raise await self._expired(sealed)
        return await self._refresher.refresh(sealed, "expired")

    async def refresh_now(
        self, tenant_id: UUID, connection_id: UUID, *, seen_epoch: int | None = None, why: Why = "refused"
    ) -> Credential:
        """A newer credential than that of `seen_epoch`, for a caller whose token the provider refused.

        Whoever comes later with the same epoch gets the one that was fetched for the first. Besides what `access_token`
        raises: Conflict("connection_not_refreshable").
        """
        sealed = await self._reader.read(tenant_id, connection_id)
        if seen_epoch is not None and sealed.epoch != seen_epoch:
            return self._reader.credential(sealed)
        if not sealed.refreshable:
            if not self._reader.is_valid(sealed):
                raise await self._expired(sealed)
            title = self._upstream.get_provider(sealed.provider).title
            raise errors.connection_not_refreshable(connection_id, title)
        return await self._refresher.refresh(sealed, why)

    async def refresh_asked(self, principal: Principal, connection_id: UUID) -> Connection:
        """The person pressed the button."""
        await self.get_connection(principal, connection_id)
        await self.refresh_now(principal.tenant_id, connection_id, why="asked")
        return await self.get_connection(principal, connection_id)

    async def reveal(self, principal: Principal, connection_id: UUID, require_proof: RequireProof) -> AccessToken:
        """The access token itself, for its owner; never a refresh token, and never what somebody typed into a form.

        Raises Forbidden("raw_token_off") where the provider's policy does not say that it may, before anything else
        is asked of the person; then what `require_proof` and `access_token` raise.
        """
        connection = await self.get_connection(principal, connection_id)
        provider = self._upstream.find_provider(connection.provider)
        if provider is None or not provider.raw_token or provider.auth in FORMS:
            raise errors.raw_token_off(provider.title if provider else connection.provider)
        await require_proof(principal)
        await self.access_token(principal.tenant_id, connection_id)
        sealed = await self._reader.read(principal.tenant_id, connection_id)
        token = AccessToken(
            value=self._reader.secret(sealed), scopes=sealed.scopes, expires_at=sealed.access_expires_at
        )
        async with self._db.transaction(principal.tenant_id) as tx:
            await self._recorder.by_person(tx, subject_of(connection), "connection.token_revealed")
        return token

    def used(self, tenant_id: UUID, connection_id: UUID) -> None:
        self.usage.used(tenant_id, connection_id)

    async def store(
        self,
        tx: Transaction,
        *,
        tenant_id: UUID,
        user_id: UUID,
        provider: Provider,
        identity: ProviderIdentity,
        answer: TokenAnswer,
        requested_scopes: Sequence[str],
    ) -> Connection:
        """A consent that was just given. The same account revives its connection; another account makes another."""
        account = (identity.subject, identity.account_name)
        offer = self._keeping.from_consent(tenant_id, user_id, provider, account, answer, requested_scopes)
        return await self._keeping.keep(tx, offer)

    async def store_fields(self, principal: Principal, provider: Provider, fields: Mapping[str, str]) -> Connection:
        """Raises BadInput("request_invalid"), Unavailable("provider_unavailable")."""
        forms.check(provider, fields)
        answer = await self._first_answer(provider, fields)
        offer = self._keeping.from_form(
            principal.tenant_id, principal.user_id, provider, forms.account(provider, fields), fields, answer
        )
        async with self._db.transaction(principal.tenant_id) as tx:
            return await self._keeping.keep(tx, offer)

    async def list_connections(self, principal: Principal) -> list[Connection]:
        async with self._db.transaction(principal.tenant_id) as tx:
            return await store.of_person(tx, principal.tenant_id, principal.user_id)

    async def list_with_agents(
        self, principal: Principal, agents_of: AgentsOf
    ) -> tuple[list[Connection], Mapping[UUID, Sequence[str]]]:
        async with self._db.transaction(principal.tenant_id) as tx:
            found = await store.of_person(tx, principal.tenant_id, principal.user_id)
            return found, await agents_of(tx, principal.tenant_id, principal.user_id)

    async def get_connection(self, principal: Principal, connection_id: UUID) -> Connection:
        async with self._db.transaction(principal.tenant_id) as tx:
            return await self._own(tx, principal, connection_id)

    async def disconnect(self, principal: Principal, connection_id: UUID, end_grants: EndGrants) -> tuple[bool, int]:
        """Whether the provider revoked the tokens, and how many grants ended. Here they are destroyed in any case.

        The row stays without tokens, so that an agent which comes later is told why it is refused.
        """
        async with self._db.transaction(principal.tenant_id) as tx:
            connection = await self._own(tx, principal, connection_id)
            secrets = await self._revoker.read(tx, connection)
        revoked = await self._revoker.revoke(connection, secrets)
        async with self._db.transaction(principal.tenant_id) as tx:
            last = await self._own(tx, principal, connection_id, lock=True)
            refreshed = await self._revoker.read(tx, last) if last.epoch != connection.epoch else None
            await store.destroy_tokens(tx, principal.tenant_id, connection_id)
            ended = await end_grants(tx, principal.tenant_id, connection_id)
            detail = {"revoked_upstream": revoked, "grants_ended": ended}
            await self._recorder.by_person(tx, subject_of(last), "connection.disconnected", detail=detail)
            await self._recorder.changed(tx, subject_of(last), "revoked")
        if refreshed is not None:  # somebody refreshed while we asked the provider
            revoked = await self._revoker.revoke(last, refreshed)
        return revoked, ended

    async def remind(self, tenant_id: UUID, connection_id: UUID) -> int | None:
        """Says once that the consent ends in so many days, 0 when it has; None when there is nothing to say."""
        async with self._db.transaction(tenant_id) as tx:
            found = await store.find(tx, tenant_id, connection_id)
            if found is None or found.state != "active" or found.grant_expires_at is None:
                return None
            now = self._clock()
            days = reminder_due(found.grant_expires_at, found.reminded_days, now)
            if days is None or not await store.reminded(tx, found, found.reminded_days, days):
                return None
            detail = {"days": days, "grant_expires_at": found.grant_expires_at.isoformat()}
            await self._recorder.by_system(tx, subject_of(found), "connection.reminder", detail=detail)
            await self._recorder.changed(tx, subject_of(found), found.state_at(now))
        return days

    async def revoke_all(self, tenant_id: UUID, user_id: UUID) -> int:
        """Before an account is erased, outside its transaction; best effort."""
        return await self._revoker.revoke_all(tenant_id, user_id)

    async def erase(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        await store.erase(tx, tenant_id, user_id)

    async def stop(self) -> None:
        """Waits up to 20 s for tokens that a provider gave and that are not stored yet."""
        await self._refresher.stop()

    async def _own(
        self, tx: Transaction, principal: Principal, connection_id: UUID, *, lock: bool = False
    ) -> Connection:
        found = await store.find(tx, principal.tenant_id, connection_id, lock=lock)
        if found is None or found.user_id != principal.user_id or found.state == "revoked":
            raise errors.connection_not_found()
        return found

    async def _first_answer(self, provider: Provider, fields: Mapping[str, str]) -> TokenAnswer | None:
        """Proves a client's credentials by using them; other forms cannot be tried without knowing the API."""
        if provider.auth != "client_credentials":
            return None
        try:
            return await self._upstream.client_credentials(provider, fields)
        except TokenRequestFailed as error:
            if error.kind in {"transient", "unknown"}:
                raise errors.provider_unavailable(provider.title, _RETRY_AFTER) from error
            raise errors.fields_invalid(f"{provider.title} does not accept these credentials. Check them.") from error

    async def _expired(self, sealed: Sealed) -> KeybearerError:
        """An expired token and nothing to refresh it with: only the person can help."""
        subject = Subject(sealed.tenant_id, sealed.user_id, sealed.connection_id, sealed.provider, sealed.account_name)
        async with self._db.transaction(sealed.tenant_id) as tx:
            if await store.expire(tx, sealed.tenant_id, sealed.connection_id, sealed.epoch, "expired"):
                await self._recorder.by_system(
                    tx, subject, "connection.needs_reconnect", outcome="failed", code="expired"
                )
                await self._recorder.changed(tx, subject, "needs_reconnect")
        return self._reader.needs_reconnect(sealed, "expired")
