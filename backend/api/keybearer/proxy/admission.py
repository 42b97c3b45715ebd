"""Whether a grant allows a call: which connection it means, where it goes, and what the provider's policy says."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from keybearer.kit.errors import Forbidden
from keybearer.providers import policy
from keybearer.providers.model import Provider
from keybearer.providers.policy import Decision
from keybearer.proxy import errors, incoming
from keybearer.proxy.incoming import Incoming
from keybearer.sessions.model import Resolved


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made. `url` is what goes out, query and all."""

    provider: Provider
    connection_id: UUID
    url: bytes


def admit(request: Incoming, grant: Resolved, providers: Mapping[str, Provider]) -> Admitted:
    """Raises the refusal: BadInput, NotFound, Forbidden (`not_allowed`, `approval_needed`) or Conflict."""
    provider = providers.get(request.provider)
    if provider is None:
        raise errors.provider_unknown()
    connection_id = _connection(request, grant, provider)
    incoming.check(request)
    _, url = policy.route(provider, request.path)
    decision = policy.decide(provider, request.method, request.path, grant.scopes)
    if decision.effect != "allow":
        raise _refusal(decision, provider.title)
    return Admitted(provider, connection_id, url + b"?" + request.query if request.query else url)


def _connection(request: Incoming, grant: Resolved, provider: Provider) -> UUID:
    held = [connection_id for connection_id, name in grant.connections if name == provider.name]
    if request.connection_id is not None:
        held = [connection_id for connection_id in held if connection_id == request.connection_id]
    if not held:
        raise errors.not_in_grant(provider.title)
    if len(held) > 1:
        raise errors.connection_ambiguous(provider.title, held)
    return held[0]


def _refusal(decision: Decision, title: str) -> Forbidden:
    if decision.effect == "ask":
        # Nobody can approve a single call yet, so what needs asking is not done.
        return errors.approval_needed(title)
    if decision.reason == "scope_unmapped":
        return errors.scope_unmapped(title)
    if decision.reason == "scope_missing" and decision.rule is not None:
        return errors.scope_missing(title, decision.rule.scopes or ())
    return errors.denied(title)
