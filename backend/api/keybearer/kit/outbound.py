"""The only way out: an HTTP client that cannot be talked into reaching the installation's own network.

A provider's name is looked up here, each of its addresses is judged, and the connection goes to the very
address that was judged, so no later look-up can lead elsewhere (DNS rebinding). TLS still proves the name.
Redirects are not followed, cookies are not kept, and what the environment says of proxies is ignored.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

# Many servers close an idle connection after 5 s; one reused later than that may die with our request in it.
LIMITS = httpx2.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=4.0)
SMALL_ANSWER = 256 * 1024
_CONNECT_SECONDS = 5.0
TIMEOUT = httpx2.Timeout(10.0, connect=_CONNECT_SECONDS, pool=5.0)
_RESOLVE_SECONDS = 3.0

_REFUSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's platform service, on an address that looks public
        "169.254.0.0/16",  # link-local, where clouds answer with credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Of IPv6, what is allocated to the world is let through; inside it, these are not the world.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo, benchmarking
        "2001:db8::/32",
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(httpx2.ConnectError):
    """The name leads to an address that this installation does not let Keybearer reach."""


class TookTooLong(httpx2.TimeoutException):
    """The call as a whole ran out of the time that `within` gave it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is None where it was longer than the limit, or compressed although we asked that it be not."""

    status: int
    headers: httpx2.Headers
    body: bytes | None = field(repr=False)


class NotAnswered(Exception):
    """No complete answer came. `sent`: the other side may have seen the request and acted on it.

    It holds no request, on purpose: requests carry secrets, and exceptions end up in logs.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Outbound:
    """`allowed` holds "host:port" as written in a URL ("[::1]:8082" for IPv6); those may lead anywhere."""

    def __init__(
        self,
        allowed: Collection[str] = (),
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        limits: httpx2.Limits = LIMITS,
    ) -> None:
        _silence_request_logs()
        network = CheckedNetwork(frozenset(host.lower() for host in allowed), resolve or _resolve)
        self._client = httpx2.AsyncClient(
            transport=_CheckedTransport(network, tls or httpx2.create_ssl_context(), limits),
            timeout=TIMEOUT,
            follow_redirects=False,
            max_redirects=0,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={"user-agent": "keybearer"},
        )

    def client(self) -> httpx2.AsyncClient:
        return self._client

    async def aclose(self) -> None:
        await self._client.aclose()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
        seconds: float = 10.0,
        limit: int = SMALL_ANSWER,
    ) -> Answer:
        """A whole small answer within a total time, or NotAnswered."""
        sending = _Sending()
        request = self._client.build_request(
            method,
            url,
            headers={"accept": "application/json", "accept-encoding": "identity", **(headers or {})},
            data=form,
            json=json,
            extensions={"trace": sending.trace},
        )
        try:
            async with within(seconds):
                return await self._answer(request, limit)
        except httpx2.HTTPError as error:
            raise NotAnswered(type(error).__name__, sent=sending.began) from None

    async def _answer(self, request: httpx2.Request, limit: int) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = None if "content-encoding" in response.headers else await _read(response, limit)
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, body)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Limits everything inside together; the client's own time-outs are for each read and write."""
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise TookTooLong(f"took longer than {seconds:g} s") from error


def is_public(address: Address) -> bool:
    """Whether anyone on the internet can reach it. An address inside an address is judged by the inner one."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Looks names up itself and connects to an address only after judging it."""

    def __init__(
        self,
        allowed: frozenset[str],
        resolve: Resolve,
        connector: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._connector = connector or httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface has it
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Tries the permitted addresses in the resolver's order, each for an equal share of the time left."""
        seconds = _CONNECT_SECONDS if timeout is None else timeout
        deadline = _now() + seconds
        addresses = await self._permitted(host, port, seconds)
        failure: Exception | None = None
        for position, address in enumerate(addresses):
            share = max(deadline - _now(), 0.0) / (len(addresses) - position)
            try:
                return await self._connector.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore2.ConnectError("the name has no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _permitted(self, host: str, port: int, seconds: float) -> list[str]:
        found = await self._look_up(host, port, min(seconds, _RESOLVE_SECONDS))
        if _authority(host, port) in self._allowed:
            return found
        permitted = [address for address in found if _is_public_text(address)]
        if found and not permitted:
            raise AddressRefused(f"{_authority(host, port)} is not on the public internet")
        return permitted

    async def _look_up(self, host: str, port: int, seconds: float) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                return list(dict.fromkeys(await self._resolve(host, port)))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("looking the name up took too long") from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the name was not found") from error


class _CheckedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's mapping of requests, answers and errors over a pool that connects through `CheckedNetwork`.

    The library's constructor builds the pool itself and takes no network backend, so it is replaced, not called:
    the pool in `_pool` is all that the inherited methods use. tests/outbound fails should a release change that.
    """

    def __init__(self, network: CheckedNetwork, tls: ssl.SSLContext, limits: httpx2.Limits) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=False,
            network_backend=network,
        )


class _Sending:
    """Learns from the connection whether any byte of the request may have left."""

    def __init__(self) -> None:
        self.began = False

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        if event == "http11.send_request_headers.started":
            self.began = True


async def _read(response: httpx2.Response, limit: int) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found: list[tuple[Any, ...]] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [entry[4][0] for entry in found]


def _is_public_text(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a mapped, 6to4 or NAT64 address leads to."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}".lower() if ":" in host else f"{host}:{port}".lower()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _silence_request_logs() -> None:
    """Both libraries log URLs and headers below WARNING, and some providers want a token in the URL."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
