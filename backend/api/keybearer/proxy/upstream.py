"""One call to a provider: the agent's bytes and the person's credential out, the answer's head back."""

from collections.abc import AsyncIterator
from functools import lru_cache

import httpx2

from keybearer.kit.errors import KeybearerError
from keybearer.kit.outbound import AddressRefused
from keybearer.providers import policy
from keybearer.proxy import errors
from keybearer.proxy.admission import Admitted
from keybearer.proxy.body import RequestBody
from keybearer.proxy.incoming import Incoming, RawHeaders
from keybearer.proxy.interruption import Interruption
from keybearer.vault.model import Credential

# The head of the answer has its own limit above; an open stream may be silent for longer.
_TIMEOUT = httpx2.Timeout(connect=5.0, write=60.0, read=300.0, pool=5.0)
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


async def send(
    client: httpx2.AsyncClient,
    request: Incoming,
    admitted: Admitted,
    credential: Credential,
    body: RequestBody,
    interruption: Interruption,
    *,
    answer_seconds: float,
    again: bool = True,
) -> httpx2.Response:
    """The answer, whose body is still to be read. Raises as `failure` says, and what the body raises.

    A kept connection may have died unnoticed; what changes nothing is then sent once more over a new one.
    """

    def await_answer() -> None:
        interruption.expect_within(answer_seconds, "provider_timeout")

    content = body.content(await_answer)
    if isinstance(content, bytes):
        await_answer()
    outgoing = _outgoing(request, admitted, credential, body, content)
    try:
        answer = await client.send(outgoing, stream=True)
    except (httpx2.RemoteProtocolError, httpx2.ReadError):
        if not (again and body.replayable and request.method in _REPEATABLE):
            raise
        return await send(
            client, request, admitted, credential, body, interruption, answer_seconds=answer_seconds, again=False
        )
    interruption.expect_within(None)
    return answer


def failure(error: httpx2.HTTPError, title: str) -> KeybearerError:
    """What happened, as the agent is told: whether the call may have been carried out is what matters most."""
    if isinstance(error, AddressRefused):
        return errors.address_refused(title)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return errors.unreachable(title)
    if isinstance(error, httpx2.TimeoutException):
        return errors.timed_out(title)
    if isinstance(error, httpx2.LocalProtocolError):
        return errors.header_refused("A header of this request cannot be sent on. Leave out what is not plain text.")
    return errors.connection_lost(title)


def _outgoing(
    request: Incoming,
    admitted: Admitted,
    credential: Credential,
    body: RequestBody,
    content: bytes | AsyncIterator[bytes],
) -> httpx2.Request:
    origin, target = _split(admitted.url)
    return httpx2.Request(
        request.method,
        _origin(origin),
        headers=_headers(request, admitted, credential, body, content),
        content=content or None,
        extensions={"target": target, "timeout": _TIMEOUT.as_dict()},
    )


def _headers(
    request: Incoming,
    admitted: Admitted,
    credential: Credential,
    body: RequestBody,
    content: bytes | AsyncIterator[bytes],
) -> RawHeaders:
    forwarded = policy.forwarded_request_headers(request.headers, admitted.provider)
    headers = [(name, value) for name, value in forwarded if name not in _LENGTHS]
    if not any(name == b"user-agent" for name, _ in headers):
        headers.append((b"user-agent", b"keybearer"))
    headers.append((credential.header.encode(), credential.value.encode()))
    if isinstance(content, bytes):
        if content or body.declared_length is not None:
            headers.append((b"content-length", str(len(content)).encode()))
    elif body.declared_length is not None:
        headers.append((b"content-length", str(body.declared_length).encode()))
    return headers


def _split(url: bytes) -> tuple[str, bytes]:
    """The origin, and the request target with its bytes untouched."""
    scheme, _, rest = url.partition(b"://")
    authority, _, path = rest.partition(b"/")
    return f"{scheme.decode()}://{authority.decode()}", b"/" + path


@lru_cache(maxsize=512)
def _origin(text: str) -> httpx2.URL:
    return httpx2.URL(text)
