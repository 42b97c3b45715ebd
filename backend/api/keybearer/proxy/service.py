"""Carries one call: who asks, may they, with which credential, what came of it. Every call is in the ledger first."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import httpx2
import structlog
from starlette.types import Receive, Scope, Send

from keybearer.kit.breaker import Breaker, Breakers
from keybearer.kit.database import Database
from keybearer.kit.errors import KeybearerError
from keybearer.ledger.model import Entry
from keybearer.ledger.service import Ledger
from keybearer.providers.model import Provider
from keybearer.proxy import admission, errors, incoming, metrics, record, upstream, watches
from keybearer.proxy.admission import Admitted
from keybearer.proxy.answer import Answer
from keybearer.proxy.body import ClientGone, RequestBody
from keybearer.proxy.incoming import Incoming
from keybearer.proxy.interruption import Interrupted, Interruption
from keybearer.proxy.record import Call
from keybearer.proxy.renewal import Renewal
from keybearer.sessions.model import Resolved
from keybearer.vault.model import Credential
from keybearer.vault.sealing import WrappedKey

log = structlog.get_logger(__name__)

# Says that the provider is in trouble, not that the call was wrong.
_AILING = frozenset({502, 503, 504})
_PROVIDERS_FAULT = frozenset({"provider_unavailable", "provider_timeout", "provider_connection_lost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`answer_seconds` counts from the end of the request to the head of the answer."""

    body_bytes: int = 100 * 1024 * 1024
    answer_seconds: float = 60.0


class Vault(Protocol):
    """What is needed of `vault.service.Vault`."""

    async def access_token(self, tenant_id: UUID, connection_id: UUID) -> Credential: ...

    async def refresh_now(
        self, tenant_id: UUID, connection_id: UUID, *, seen_epoch: int | None = None
    ) -> Credential: ...

    def used(self, tenant_id: UUID, connection_id: UUID) -> None: ...


class Calls(Protocol):
    """What is needed of `ledger.calls.CallWriter`: `started` returns once the row is committed."""

    async def started(self, entry: Entry, key: WrappedKey) -> None: ...

    def finished(self, entry: Entry, key: WrappedKey) -> None: ...


class LastUse(Protocol):
    def used(self, tenant_id: UUID, grant_id: UUID) -> None: ...


class Proxy:
    """An ASGI application for everything under /api/proxy/."""

    def __init__(
        self,
        db: Database,
        providers: Mapping[str, Provider],
        resolver: watches.Resolver,
        vault: Vault,
        calls: Calls,
        ledger: Ledger,
        last_use: LastUse,
        breakers: Breakers,
        client: httpx2.AsyncClient,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._db = db
        self._providers = providers
        self._resolver = resolver
        self._vault = vault
        self._renewal = Renewal(vault)
        self._calls = calls
        self._ledger = ledger
        self._last_use = last_use
        self._breakers = breakers
        self._client = client
        self._limits = limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer(scope, receive, send)
        body: RequestBody | None = None
        try:
            request = incoming.read(scope)
            grant = await self._resolve(request.token, scope)
            admitted, body = await self._admit(request, grant, receive)
            await self._carry(request, grant, admitted, body, answer)
        except ClientGone:
            return
        except KeybearerError as error:
            refusal = error
        except Exception:
            log.exception("proxy.crashed")
            refusal = errors.crashed()
        else:
            return
        # Once the answer has begun there is only hanging up, which the server does when we return early.
        if not answer.started:
            await answer.refuse(refusal, body_read=body is not None and body.complete)

    async def _resolve(self, token: str, scope: Scope) -> Resolved:
        grant = await self._resolver.resolve(token)
        tenant = scope.get("state", {}).get("tenant")
        if grant is None or grant.kind != "grant" or (tenant is not None and tenant.id != grant.tenant_id):
            raise errors.grant_ended()
        return grant

    async def _admit(self, request: Incoming, grant: Resolved, receive: Receive) -> tuple[Admitted, RequestBody]:
        try:
            admitted = admission.admit(request, grant, self._providers)
            body = RequestBody(receive, request.declared_length, limit=self._limits.body_bytes)
            await body.read_ahead()
        except KeybearerError as error:
            await self._denied(request, grant, None, error)
            raise
        return admitted, body

    async def _carry(
        self, request: Incoming, grant: Resolved, admitted: Admitted, body: RequestBody, answer: Answer
    ) -> None:
        breaker = self._breakers.get((grant.tenant_id, admitted.provider.name))
        try:
            credential = await self._vault.access_token(grant.tenant_id, admitted.connection_id)
            breaker.check()
        except KeybearerError as error:
            await self._denied(request, grant, admitted, error)
            raise
        call = Call(request, grant, admitted, credential)
        await self._calls.started(call.started(), credential.key)
        self._vault.used(grant.tenant_id, admitted.connection_id)
        self._last_use.used(grant.tenant_id, grant.subject_id)
        begun = time.monotonic()
        try:
            await self._exchange(call, body, breaker, answer)
        finally:
            self._calls.finished(call.finished(time.monotonic() - begun), credential.key)
            metrics.REQUESTS.labels(admitted.provider.name, call.label).inc()

    async def _exchange(self, call: Call, body: RequestBody, breaker: Breaker, answer: Answer) -> None:
        title = call.admitted.provider.title
        try:
            async with Interruption() as interruption:
                interruption.watch(watches.client_gone(body, interruption))
                interruption.watch(
                    watches.grant_ended(
                        self._resolver, call.request.token, call.grant, call.admitted.connection_id, interruption
                    )
                )
                async with aclosing(await self._answered(call, body, interruption)) as response:
                    call.answered(response.status_code)
                    _tell(breaker, "ailing" if response.status_code in _AILING else None)
                    await answer.relay(response, call.admitted.provider)
                    call.relayed()
        except ClientGone:
            call.interrupted("client_gone", answered=False)
            raise
        except Interrupted as ended:
            call.interrupted(ended.reason, answered=answer.started)
            if ended.reason == "client_gone":
                raise ClientGone from ended
            if ended.reason == "provider_timeout":
                _tell(breaker, ended.reason)
            raise _of_interruption(ended.reason, title) from ended
        except httpx2.HTTPError as error:
            refusal = upstream.failure(error, title)
            call.failed(refusal, answered=answer.started)
            if refusal.code in _PROVIDERS_FAULT:
                _tell(breaker, refusal.code)
            raise refusal from error
        except KeybearerError as error:
            call.failed(error, answered=answer.started)
            raise

    async def _answered(self, call: Call, body: RequestBody, interruption: Interruption) -> httpx2.Response:
        """After a 401 the token is refreshed once, and the call repeated if its body can be."""
        response = await self._sent(call, call.credential, body, interruption)
        if response.status_code != 401:
            return response
        try:
            fresh = await self._renewal.find_fresh(call.grant.tenant_id, call.credential)
        except BaseException:
            await response.aclose()
            raise
        if fresh is None or not body.replayable:
            return response
        await response.aclose()
        response = await self._sent(call, fresh, body, interruption)
        if response.status_code == 401:
            self._renewal.refused_again(call.admitted.connection_id)
        return response

    async def _sent(
        self, call: Call, credential: Credential, body: RequestBody, interruption: Interruption
    ) -> httpx2.Response:
        response = await upstream.send(
            self._client,
            call.request,
            call.admitted,
            credential,
            body,
            interruption,
            answer_seconds=self._limits.answer_seconds,
        )
        if not 200 <= response.status_code < 600:
            await response.aclose()
            raise errors.answer_invalid(call.admitted.provider.title)
        return response

    async def _denied(
        self, request: Incoming, grant: Resolved, admitted: Admitted | None, error: KeybearerError
    ) -> None:
        provider = request.provider if request.provider in self._providers else None
        metrics.REQUESTS.labels(provider or "unknown", "refused").inc()
        async with self._db.transaction(grant.tenant_id) as tx:
            await self._ledger.record(tx, record.denied(request, grant, provider, admitted, error))


def _of_interruption(reason: str, title: str) -> KeybearerError:
    if reason == "provider_timeout":
        return errors.timed_out(title)
    return errors.grant_ended() if reason == "grant_ended" else errors.unproven()


def _tell(breaker: Breaker, failure: str | None) -> None:
    if failure is None:
        breaker.succeeded()
    else:
        breaker.failed(failure)
