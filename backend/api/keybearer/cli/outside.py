"""What a stranger sees of an installation: the outside checks of `keybearer verify --url`."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

_SECONDS = 10
_STRANGERS = ("/api/auth/me", "/api/connections", "/api/grants", "/api/ledger", "/api/auth/sessions")
_INTERNAL_PATHS = ("/metrics", "/readyz", "/internal/keyring")
_INTERNAL_PORT = 9090
_FOREIGN = "https://elsewhere.example"


@dataclass(frozen=True, slots=True)
class Finding:
    """`problem` None: the check passed."""

    what: str
    problem: str | None = None


Check = Callable[[httpx2.AsyncClient, str], Awaitable[str | None]]


async def check(url: str, through: str | None = None) -> list[Finding]:
    """Sends a handful of harmless requests to `url` and to the internal port beside it.

    `through`, a host and port, is connected to instead of the URL's own; what is asked for stays the same.
    """
    findings = []
    transport = _Through(url, through) if through else None
    async with httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=False, transport=transport) as client:
        for what, each in _checks(url).items():
            try:
                findings.append(Finding(what, await each(client, url)))
            except httpx2.HTTPError as error:
                findings.append(Finding(what, f"no answer from {url} ({_reason(error)})"))
    return findings


class _Through(httpx2.AsyncHTTPTransport):
    def __init__(self, url: str, through: str) -> None:
        super().__init__()
        self._public = httpx2.URL(url)
        self._there = httpx2.URL(f"{self._public.scheme}://{through}")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = request.url
        if asked.host == self._public.host:
            port = self._there.port if asked.port == self._public.port else asked.port
            # The Host header is set already; the certificate must be for what was asked for, too.
            request.extensions = {**request.extensions, "sni_hostname": asked.host}
            request.url = asked.copy_with(host=self._there.host, port=port)
        return await super().handle_async_request(request)


def _checks(url: str) -> Mapping[str, Check]:
    checks: dict[str, Check] = {
        "answers": _answers,
        "strangers get 401": _refuses_strangers,
        "security headers": _headers,
        "other sites may not call": _no_cors,
        "large bodies are refused": _limits,
        "internal paths are not public": _internal_paths,
        "internal port is closed": _internal_port,
    }
    if url.startswith("https://"):
        checks["plain http leads to https"] = _redirects
    return checks


async def _answers(client: httpx2.AsyncClient, url: str) -> str | None:
    answer = await client.get(f"{url}/api/health")
    return None if answer.status_code == 200 else f"/api/health answered {answer.status_code}"


async def _refuses_strangers(client: httpx2.AsyncClient, url: str) -> str | None:
    for path in _STRANGERS:
        status = (await client.get(url + path)).status_code
        if status != 401:
            return f"{path} answered {status} to somebody who is not signed in"
    return None


async def _headers(client: httpx2.AsyncClient, url: str) -> str | None:
    answer = await client.get(f"{url}/api/health")
    wanted = ["x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy"]
    wanted += ["strict-transport-security"] if url.startswith("https://") else []
    for name in wanted:
        count = len(answer.headers.get_list(name))
        if count != 1:
            return f"{name} is there {count} times; set it once, here or in the proxy"
    return None


async def _no_cors(client: httpx2.AsyncClient, url: str) -> str | None:
    answer = await client.get(f"{url}/api/auth/me", headers={"Origin": _FOREIGN})
    allowed = answer.headers.get("access-control-allow-origin")
    return f"an unknown site is answered with Access-Control-Allow-Origin: {allowed}" if allowed else None


async def _limits(client: httpx2.AsyncClient, url: str) -> str | None:
    answer = await client.post(f"{url}/api/grants", content=b"x" * (1024 * 1024 + 1))
    return None if answer.status_code == 413 else f"a body of over 1 MiB was answered {answer.status_code}, not 413"


async def _internal_paths(client: httpx2.AsyncClient, url: str) -> str | None:
    for path in _INTERNAL_PATHS:
        answer = await client.get(url + path)
        if answer.status_code == 200 and "text/html" not in answer.headers.get("content-type", ""):
            return f"{path} is served on the public address"
    return None


async def _internal_port(client: httpx2.AsyncClient, url: str) -> str | None:
    """On this machine itself the port is open by design, for whoever is logged in here."""
    host = urlsplit(url).hostname
    if host in {"localhost", "127.0.0.1", "::1"}:
        return None
    try:
        await client.get(f"http://{host}:{_INTERNAL_PORT}/livez", timeout=3)
    except httpx2.HTTPError:
        return None
    return f"port {_INTERNAL_PORT} answers from outside; close it"


async def _redirects(client: httpx2.AsyncClient, url: str) -> str | None:
    answer = await client.get("http://" + url.removeprefix("https://"))
    location = answer.headers.get("location", "")
    if answer.status_code in {301, 308} and location.startswith("https://"):
        return None
    return f"plain http answered {answer.status_code}; answer 308 to https"


def _reason(error: httpx2.HTTPError) -> str:
    """What went wrong on the wire lies a few causes deep."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
