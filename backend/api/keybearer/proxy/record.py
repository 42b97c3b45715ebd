"""What the ledger learns of a call: that it is about to be made, what came of it, or why it was not made."""

from uuid import UUID, uuid4

from keybearer.kit.errors import KeybearerError, Unavailable
from keybearer.ledger.model import Entry, Outcome
from keybearer.proxy.admission import Admitted
from keybearer.proxy.incoming import Incoming
from keybearer.sessions.model import Resolved
from keybearer.vault.model import Credential

_LONGEST_PATH = 1024
# The provider may have carried these out; nobody here can know.
_UNKNOWN = frozenset({"provider_timeout", "provider_connection_lost"})


class Call:
    """One call that is being made, and how it ends."""

    def __init__(self, request: Incoming, grant: Resolved, admitted: Admitted, credential: Credential) -> None:
        self.id = uuid4()
        self.request = request
        self.grant = grant
        self.admitted = admitted
        self.credential = credential
        self._status: int | None = None
        # Holds if the process is stopped in the middle.
        self._outcome: Outcome = "unknown"
        self._code: str | None = "interrupted"
        self.label = "interrupted"

    def answered(self, status: int) -> None:
        self._status = status

    def relayed(self) -> None:
        """The agent has the whole answer."""
        status = self._status or 0
        self._code = None
        self._outcome = "ok" if status < 400 else "failed"
        self.label = "ok" if status < 400 else "client_error" if status < 500 else "server_error"

    def interrupted(self, reason: str, *, answered: bool) -> None:
        """Cut short from our side: by the agent, by the person, or because the provider took too long."""
        self._code = reason
        self._outcome = "failed" if answered else "unknown"
        self.label = "interrupted"

    def failed(self, error: KeybearerError, *, answered: bool) -> None:
        self._code = error.code
        self._outcome = "unknown" if error.code in _UNKNOWN and not answered else "failed"
        self.label = "failed"

    def started(self) -> Entry:
        detail: dict[str, object] = {"account": self.credential.account_name, **_asked(self.request, self.grant)}
        return Entry(
            tenant_id=self.grant.tenant_id,
            action="proxy.call",
            outcome="pending",
            actor_kind="agent",
            user_id=self.grant.user_id,
            grant_id=self.grant.subject_id,
            connection_id=self.admitted.connection_id,
            provider=self.admitted.provider.name,
            call_id=self.id,
            method=self.request.method,
            detail=detail,
        )

    def finished(self, seconds: float) -> Entry:
        return Entry(
            tenant_id=self.grant.tenant_id,
            action="proxy.finished",
            outcome=self._outcome,
            actor_kind="agent",
            user_id=self.grant.user_id,
            grant_id=self.grant.subject_id,
            connection_id=self.admitted.connection_id,
            provider=self.admitted.provider.name,
            call_id=self.id,
            method=self.request.method,
            status=self._status,
            duration_ms=round(seconds * 1000),
            code=self._code,
        )


def denied(
    request: Incoming, grant: Resolved, provider: str | None, admitted: Admitted | None, error: KeybearerError
) -> Entry:
    return Entry(
        tenant_id=grant.tenant_id,
        action="proxy.denied",
        outcome="failed" if isinstance(error, Unavailable) else "denied",
        actor_kind="agent",
        user_id=grant.user_id,
        grant_id=grant.subject_id,
        connection_id=admitted.connection_id if admitted else _only_connection(grant, provider),
        provider=provider,
        method=request.method,
        code=error.code,
        detail=_asked(request, grant),
    )


def _asked(request: Incoming, grant: Resolved) -> dict[str, object]:
    """Without the query, which may hold what the person searched for or a secret."""
    path = request.path[:_LONGEST_PATH].decode("ascii", "backslashreplace")
    return {"agent": grant.agent, "path": path, "reason": request.reason}


def _only_connection(grant: Resolved, provider: str | None) -> UUID | None:
    held = [connection_id for connection_id, name in grant.connections if name == provider]
    return held[0] if len(held) == 1 else None
