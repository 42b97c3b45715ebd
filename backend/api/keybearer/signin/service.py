"""What happens when a browser comes back from a provider, and when a person leaves for good."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from keybearer.factors.step_up import PROVIDER, StepUp
from keybearer.identity.model import Presented
from keybearer.identity.service import Identities
from keybearer.keys.erasures import Erasure, ErasureLog
from keybearer.keys.errors import EnvelopeError
from keybearer.kit.database import Database, Transaction
from keybearer.kit.errors import KeybearerError, Unavailable
from keybearer.kit.principal import Principal
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.limits.service import SignInLimits
from keybearer.providers.errors import TokenRequestFailed
from keybearer.providers.identity_answer import ProviderIdentity
from keybearer.providers.model import Provider
from keybearer.providers.service import Providers
from keybearer.providers.tokens import TokenAnswer
from keybearer.sessions.model import Proof
from keybearer.signin import errors, metrics
from keybearer.signin.entrance import Client, Entrance
from keybearer.signin.flows import Departure, Flows, Wish
from keybearer.signin.model import CONNECT, LINK, SIGN_IN, Flow, Secrets
from keybearer.tenancy.model import Tenant
from keybearer.vault.service import Vault

# A provider's clock may be behind ours.
_CLOCK_SKEW = timedelta(seconds=60)

Eraser = Callable[[Transaction, UUID, UUID], Awaitable[None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Callback:
    """What the browser brought back. `error` is the provider's own code and is never shown or stored as it came."""

    provider: Provider
    state: str
    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None
    client: Client


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a callback ended: where to go, with which session (after a sign-in), or with which problem."""

    kind: str
    return_to: str
    session_token: str | None = field(default=None, repr=False)
    problem: str | None = None


class SignIn:
    def __init__(
        self,
        db: Database,
        flows: Flows,
        providers: Providers,
        identities: Identities,
        entrance: Entrance,
        vault: Vault,
        ledger: Ledger,
        step_up: StepUp,
        limits: SignInLimits,
        erasers: tuple[Eraser, ...],
        erasures: ErasureLog | None = None,
    ) -> None:
        self._db = db
        self._flows = flows
        self._providers = providers
        self._identities = identities
        self._entrance = entrance
        self._vault = vault
        self._ledger = ledger
        self._step_up = step_up
        self._limits = limits
        self._erasers = erasers
        self._erasures = erasures

    async def begin_sign_in(
        self,
        tenant: Tenant,
        name: str,
        return_to: str,
        browser_secret: str | None,
        linking: Principal | None,
        *,
        fresh: bool = False,
    ) -> Departure:
        provider = self._providers.get_provider(name)
        if not provider.sign_in:
            raise errors.not_for_sign_in()
        wish = Wish(LINK if linking else SIGN_IN, provider, provider.sign_in_scopes, return_to, linking, fresh=fresh)
        return await self._flows.begin(tenant, wish, browser_secret)

    async def begin_connect(
        self,
        tenant: Tenant,
        principal: Principal,
        name: str,
        scopes: tuple[str, ...] | None,
        return_to: str,
        connection_id: UUID | None,
        browser_secret: str | None,
    ) -> Departure:
        """Raises NotFound("connection_not_found") for a connection to renew that is not the caller's."""
        provider = self._providers.get_provider(name)
        if provider.auth != "oauth2":
            raise errors.needs_fields()
        if connection_id is not None:
            await self._vault.get_connection(principal, connection_id)
        wish = Wish(CONNECT, provider, scopes or provider.default_scopes, return_to, principal, connection_id)
        return await self._flows.begin(tenant, wish, browser_secret)

    async def arrive(self, tenant: Tenant, callback: Callback) -> Arrival:
        """Never raises for what a browser or provider may do: each failure is an Arrival with its problem code."""
        flow: Flow | None = None
        try:
            flow = await self._flows.find(tenant, callback.provider.name, callback.state, callback.client.flow)
            token = await self._finish(tenant, flow, callback)
        except KeybearerError as error:
            log.info("signin.failed", code=error.code, provider=callback.provider.name)
            await self._record_failure(tenant, flow, callback, error.code)
            kind, return_to = (flow.kind, flow.return_to) if flow else (SIGN_IN, "/")
            return Arrival(kind, return_to, problem=error.code)
        return Arrival(flow.kind, flow.return_to, session_token=token)

    async def erase(self, principal: Principal, confirmation: str) -> None:
        """Deletes the account: tokens are revoked where providers can, rows go, and the data key with them.

        Whoever has a factor shows it before. Raises BadInput("confirmation_mismatch"),
        ReauthenticationNeeded("reauthenticate"), Unavailable("erasure_not_logged").
        """
        if confirmation.strip().lower() != (principal.email or principal.name).strip().lower():
            raise errors.confirmation_mismatch()
        await self._step_up.require_where_possible(principal)
        tenant_id, user_id = principal.tenant_id, principal.user_id
        await self._vault.revoke_all(tenant_id, user_id)
        async with self._db.transaction(tenant_id) as tx:
            if not await self._identities.claim(tx, tenant_id, user_id):
                raise errors.account_gone()
            await self._ledger.record(
                tx, Entry(tenant_id=tenant_id, action="account.erased", actor_kind="person", user_id=user_id)
            )
            await self._remove(tx, tenant_id, user_id)
            # Last, so that a line is there for whatever commits, and hardly one for what does not.
            await self._log_erasure(tx, tenant_id, user_id)

    async def erase_again(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> bool:
        """After a restore to a time before the person left. False when there is no such person."""
        if not await self._identities.claim(tx, tenant_id, user_id):
            return False
        await self._ledger.record(
            tx, Entry(tenant_id=tenant_id, action="account.erased", actor_kind="system", user_id=user_id)
        )
        await self._remove(tx, tenant_id, user_id)
        return True

    async def _remove(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        for erase in self._erasers:
            await erase(tx, tenant_id, user_id)

    async def _log_erasure(self, tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
        if self._erasures is None:
            return
        era, xid = await self._ledger.place(tx)
        try:
            await asyncio.to_thread(self._erasures.append, Erasure(tenant_id, user_id, datetime.now(UTC), era, xid))
        except OSError as error:
            log.exception("signin.erasure.not_logged")
            raise errors.erasure_not_logged() from error

    async def _finish(self, tenant: Tenant, flow: Flow, callback: Callback) -> str | None:
        if flow.kind != SIGN_IN:
            _check_session(flow, callback.client.principal)
        try:
            kept = await self._flows.use(tenant, flow)
        except EnvelopeError as error:
            raise errors.flow_unknown() from error
        if _came_from_another(callback):
            raise errors.provider_error()
        if callback.error is not None:
            raise errors.consent_denied() if callback.error == "access_denied" else errors.provider_error()
        if not callback.code:
            raise errors.provider_error()
        answer, identity = await self._ask_provider(flow, callback, kept)
        if flow.kind == SIGN_IN:
            return await self._sign_in(tenant, flow, callback, identity)
        await self._add_to_account(tenant, flow, callback.provider, answer, identity)
        return None

    async def _ask_provider(
        self, flow: Flow, callback: Callback, kept: Secrets
    ) -> tuple[TokenAnswer, ProviderIdentity]:
        try:
            answer = await self._providers.exchange(
                callback.provider,
                code=callback.code or "",
                redirect_uri=flow.redirect_uri,
                code_verifier=kept.code_verifier,
            )
            return answer, await self._providers.identify(callback.provider, answer, nonce=kept.nonce)
        except TokenRequestFailed as error:
            if error.kind in {"transient", "unknown"}:
                raise Unavailable("provider_unavailable", "The provider did not answer. Try again.") from error
            raise errors.provider_error() from error

    async def _sign_in(self, tenant: Tenant, flow: Flow, callback: Callback, identity: ProviderIdentity) -> str:
        presented = _presented(callback.provider, identity)
        await self._limits.check_account(tenant.id, identity.email or f"{identity.issuer} {identity.subject}")
        async with self._db.transaction(tenant.id) as tx:
            user = await self._identities.sign_in(tx, tenant.id, presented)
            entered = await self._entrance.let_in(
                tx,
                tenant,
                user,
                callback.client,
                presented.provider,
                proof=_proof(flow, identity),
                account=identity.account_name,
            )
        metrics.ATTEMPTS.labels(callback.provider.name, "ok").inc()
        return entered.session.token

    async def _add_to_account(
        self, tenant: Tenant, flow: Flow, provider: Provider, answer: TokenAnswer, identity: ProviderIdentity
    ) -> None:
        assert flow.user_id is not None, "only a sign-in has no person"
        async with self._db.transaction(tenant.id) as tx:
            if not await self._identities.hold(tx, tenant.id, flow.user_id):
                raise errors.session_mismatch()
            if flow.kind == LINK:
                await self._identities.link(tx, tenant.id, flow.user_id, _presented(provider, identity))
                return
            await self._vault.store(
                tx,
                tenant_id=tenant.id,
                user_id=flow.user_id,
                provider=provider,
                identity=identity,
                answer=answer,
                requested_scopes=flow.scopes,
            )

    async def _record_failure(self, tenant: Tenant, flow: Flow | None, callback: Callback, code: str) -> None:
        kind, user_id = (flow.kind, flow.user_id) if flow else (SIGN_IN, None)
        if kind == SIGN_IN:
            metrics.ATTEMPTS.labels(callback.provider.name, code).inc()
        async with self._db.transaction(tenant.id) as tx:
            # Recording something of a person who is gone would give them a data key again.
            if user_id is not None and not await self._identities.hold(tx, tenant.id, user_id):
                user_id = None
            entry = Entry(
                tenant_id=tenant.id,
                action="connection.failed" if kind == CONNECT else "sign_in.failed",
                outcome="denied" if code == "consent_denied" else "failed",
                actor_kind="person",
                user_id=user_id,
                provider=callback.provider.name,
                code=code,
            )
            await self._ledger.record(tx, entry)


def _check_session(flow: Flow, principal: Principal | None) -> None:
    """A connection belongs to the session that asked for it: otherwise a stranger's account could be slipped in."""
    if principal is None or principal.session_id != flow.session_id:
        raise errors.session_mismatch()


def _proof(flow: Flow, identity: ProviderIdentity) -> Proof | None:
    """A proof only where the provider says, signed, that the person proved themselves there during this very flow."""
    at = identity.authenticated_at
    if at is None or at < flow.began_at - _CLOCK_SKEW:
        return None
    return Proof(by=PROVIDER, at=min(at, datetime.now(UTC)))


def _came_from_another(callback: Callback) -> bool:
    """RFC 9207: an answer that names its issuer must name the one that was asked."""
    known = callback.provider.issuer
    templated = known is not None and "{" in known
    return callback.issuer is not None and known is not None and not templated and callback.issuer != known


def _presented(provider: Provider, identity: ProviderIdentity) -> Presented:
    return Presented(
        provider=provider.name,
        issuer=identity.issuer,
        subject=identity.subject,
        email=identity.email,
        email_verified=identity.email_verified,
        name=identity.name,
        avatar_url=identity.avatar_url,
    )
