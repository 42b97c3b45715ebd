"""Lets the armed faults strike a request before the endpoint does its own work."""

from starlette.requests import Request
from starlette.responses import Response

from keybearer_sandbox.answers import Silence, pause
from keybearer_sandbox.control.faults import MAX_SECONDS, TOKEN
from keybearer_sandbox.oauth.provider import Provider
from keybearer_sandbox.oauth.refusals import ApiRefused, TokenRefused
from keybearer_sandbox.sandbox import Sandbox

_REASONS_AT_TOKEN = {
    "invalid_client": ("client_secret_wrong", "client_secret_wrong"),
    "invalid_grant": ("refresh_token_revoked", "code_unknown"),
}


async def strike(sandbox: Sandbox, provider: Provider, operation: str, request: Request) -> Response | None:
    """The answer of the fault that struck, or None where the endpoint is to go on."""
    slow = sandbox.faults.take(provider.name, "slow", operation)
    if slow:
        await pause(slow.seconds, sandbox.closing)
    timeout = sandbox.faults.take(provider.name, "timeout", operation)
    if timeout:
        return Silence(min(timeout.seconds, MAX_SECONDS), sandbox.closing)
    limited = sandbox.faults.take(provider.name, "rate_limited", operation)
    if limited:
        retry_after = {"Retry-After": str(round(limited.seconds))}
        return _refuse(provider, operation, request, "rate_limited", retry_after)
    for name in ("server_error", "discovery_unavailable"):
        if sandbox.faults.take(provider.name, name, operation):
            return _refuse(provider, operation, request, "server_error", {})
    for name, (at_refresh, at_code) in _REASONS_AT_TOKEN.items():
        if operation in TOKEN and sandbox.faults.take(provider.name, name, operation):
            reason = at_refresh if operation == "refresh" else at_code
            return _refuse(provider, operation, request, reason, {})
    return None


def _refuse(provider: Provider, operation: str, request: Request, reason: str, headers: dict[str, str]) -> Response:
    if operation in TOKEN:
        return provider.token_refused(request, TokenRefused(reason, headers=headers))
    return provider.api_refused(ApiRefused(reason, headers=headers))
