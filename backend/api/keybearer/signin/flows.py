"""Sends a browser to a provider, and makes sure that what comes back belongs to it (RFC 6749, 7636, 9207; rule R5)."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # it ships no types

from keybearer.http import browser
from keybearer.keys.envelope import Owner, Place
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.principal import Principal
from keybearer.providers.model import Provider
from keybearer.providers.service import Providers
from keybearer.signin import errors, store
from keybearer.signin.model import FLOW_LIFETIME, LINK, Flow, Secrets
from keybearer.tenancy.model import Tenant


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and the secret that its cookie must hold when it comes back."""

    authorize_url: str
    browser_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants from a provider. `principal` is None for a sign-in.

    `fresh`: the person is to prove there who they are, however lately they did.
    """

    kind: str
    provider: Provider
    scopes: tuple[str, ...]
    return_to: str
    principal: Principal | None = None
    connection_id: UUID | None = None
    fresh: bool = False


class Flows:
    def __init__(
        self, db: Database, keys: Keys, providers: Providers, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._db = db
        self._keys = keys
        self._providers = providers
        self._now = now

    async def begin(self, tenant: Tenant, wish: Wish, browser_secret: str | None) -> Departure:
        """`browser_secret` is what the browser's cookie holds."""
        provider = wish.provider
        if not provider.configured:
            raise errors.not_configured()
        state, bound = secrets.token_urlsafe(32), browser.secret_for(browser_secret)
        kept, redirect_uri = Secrets.new(), tenant.origin + provider.callback
        # Built first: it may need the provider's discovery document, and no transaction waits for that.
        url = await self._providers.authorize_url(
            provider,
            redirect_uri=redirect_uri,
            state=state,
            nonce=kept.nonce,
            code_challenge=create_s256_code_challenge(kept.code_verifier),
            scopes=wish.scopes,
            connecting=wish.kind not in {"sign_in", LINK},
            fresh=wish.fresh,
        )
        await self._save(tenant, wish, kept, redirect_uri, _hash(state), _hash(bound))
        return Departure(authorize_url=url, browser_secret=bound)

    async def find(self, tenant: Tenant, provider: str, state: str, browser_secret: str | None) -> Flow:
        """Raises BadInput("flow_unknown") for a state that is not this provider's or this browser's."""
        async with self._db.transaction(tenant.id) as tx:
            flow = await store.find(tx, tenant.id, _hash(state))
        if flow is None or flow.provider != provider or browser_secret is None:
            raise errors.flow_unknown()
        if not hmac.compare_digest(flow.browser_hash, _hash(browser_secret)):
            raise errors.flow_unknown()
        return flow

    async def use(self, tenant: Tenant, flow: Flow) -> Secrets:
        """Ends the flow, once. Raises Conflict("flow_expired") and Conflict("flow_replayed")."""
        async with self._db.transaction(tenant.id) as tx:
            if flow.used or not await store.use(tx, tenant.id, flow.id):
                raise errors.flow_replayed()
            if flow.expires_at <= self._now():
                raise errors.flow_expired()
            opened = await self._keys.open(tx, Owner.tenant(tenant.id), _place(flow.id), flow.sealed_secrets)
        return Secrets(**json.loads(opened))

    async def _save(
        self, tenant: Tenant, wish: Wish, kept: Secrets, redirect_uri: str, state_hash: bytes, browser_hash: bytes
    ) -> None:
        flow_id, caller = uuid4(), wish.principal
        plain = json.dumps({"nonce": kept.nonce, "code_verifier": kept.code_verifier}).encode()
        async with self._db.transaction(tenant.id) as tx:
            _, sealed = await self._keys.seal(tx, Owner.tenant(tenant.id), _place(flow_id), plain)
            flow = Flow(
                id=flow_id,
                kind=wish.kind,
                provider=wish.provider.name,
                user_id=caller.user_id if caller else None,
                session_id=caller.session_id if caller else None,
                connection_id=wish.connection_id,
                scopes=wish.scopes,
                return_to=wish.return_to,
                redirect_uri=redirect_uri,
                browser_hash=browser_hash,
                expires_at=self._now() + FLOW_LIFETIME,
                used=False,
                sealed_secrets=sealed,
            )
            await store.add(tx, tenant.id, flow, state_hash)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _place(flow_id: UUID) -> Place:
    return Place("flows", str(flow_id), "secrets")
