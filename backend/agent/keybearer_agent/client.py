"""HTTP clients whose calls go through Keybearer's proxy."""

import os
from collections.abc import Mapping

import httpx2

from keybearer_agent import errors
from keybearer_agent.errors import NotConfigured

LONGEST_REASON = 500
# The proxy gives a provider 60 s to begin its answer; waiting a little longer lets it say so itself.
_TIMEOUT = httpx2.Timeout(70.0, connect=5.0)


class Keybearer:
    """One grant of one person. `url` is where people open Keybearer, such as https://keybearer.example.com."""

    def __init__(self, url: str, grant: str) -> None:
        self.url = url.rstrip("/")
        self._grant = grant
        self._tls = httpx2.create_ssl_context()  # loading the certificate store takes 30 ms, once

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Keybearer":
        """From KEYBEARER_URL and KEYBEARER_GRANT, as `keybearer run` sets them; raises NotConfigured."""
        missing = [name for name in ("KEYBEARER_URL", "KEYBEARER_GRANT") if not environment.get(name)]
        if missing:
            raise NotConfigured(
                "not_configured",
                f"Not set: {', '.join(missing)}. Start this program with `keybearer run`, or take what the page Agents "
                "showed.",
            )
        return cls(environment["KEYBEARER_URL"], environment["KEYBEARER_GRANT"])

    def provider_url(self, name: str) -> str:
        """What to give other libraries as base URL, with the grant as the token."""
        return f"{self.url}/api/proxy/{name}"

    def provider(self, name: str, *, connection: str | None = None, reason: str | None = None) -> httpx2.Client:
        """A client for the provider's own paths: `.provider("spotify").get("/v1/me")`.

        `connection` is needed where the grant holds two accounts of this provider. `reason` is shown to the person
        with every call; `reason()` says one for a single call. Refusals of Keybearer raise KeybearerError.
        """
        return httpx2.Client(
            base_url=self.provider_url(name),
            auth=_GrantAuth(self._grant, self.provider_url(name)),
            headers=_headers(connection, reason),
            event_hooks={"response": [_raise_refusal]},
            timeout=_TIMEOUT,
            verify=self._tls,
        )

    def async_provider(
        self, name: str, *, connection: str | None = None, reason: str | None = None
    ) -> httpx2.AsyncClient:
        """The same for asyncio."""
        return httpx2.AsyncClient(
            base_url=self.provider_url(name),
            auth=_GrantAuth(self._grant, self.provider_url(name)),
            headers=_headers(connection, reason),
            event_hooks={"response": [_raise_refusal_async]},
            timeout=_TIMEOUT,
            verify=self._tls,
        )

    def __repr__(self) -> str:
        return f"Keybearer({self.url!r}, 'kbg_…')"


def reason(text: str) -> dict[bytes, bytes]:
    """Headers that say why this one call is made: `client.put(path, headers=reason("Alice asked for music"))`."""
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return {b"Keybearer-Reason": line[:LONGEST_REASON].encode()}


class _GrantAuth:
    """Adds the grant to calls of the proxy and to nothing else, wherever a URL or redirect may lead."""

    def __init__(self, grant: str, base: str) -> None:
        self._value = f"Bearer {grant}"
        self._base = httpx2.URL(base)

    def __call__(self, request: httpx2.Request) -> httpx2.Request:
        url, base = request.url, self._base
        same_origin = (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)
        if same_origin and url.path.startswith(f"{base.path}/"):
            request.headers["Authorization"] = self._value
        return request


def _headers(connection: str | None, why: str | None) -> dict[bytes, bytes]:
    headers = reason(why) if why else {}
    if connection is not None:
        headers[b"Keybearer-Connection"] = connection.encode()
    return headers


def _raise_refusal(response: httpx2.Response) -> None:
    if errors.is_refusal(response):
        response.read()
        raise errors.of(response)


async def _raise_refusal_async(response: httpx2.Response) -> None:
    if errors.is_refusal(response):
        await response.aread()
        raise errors.of(response)
