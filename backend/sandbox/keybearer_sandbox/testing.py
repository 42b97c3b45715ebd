"""Starts a sandbox for tests and steers it over HTTP, with nothing but the standard library."""

import base64
import hashlib
import http.client
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from keybearer_sandbox.settings import DEFAULT_REDIRECT_URIS

_AUTHORIZATION_PATHS = {
    "google": "/google/o/oauth2/v2/auth",
    "spotify": "/spotify/authorize",
    "github": "/github/login/oauth/authorize",
    "oidc": "/oidc/authorize",
}
_TOKEN_PATHS = {
    "google": "/google/token",
    "spotify": "/spotify/api/token",
    "github": "/github/login/oauth/access_token",
    "oidc": "/oidc/token",
}
_STOP_SECONDS = 5.0


class SandboxFailed(Exception):
    """The sandbox did not start, or refused what a test asked of it."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def object(self) -> dict[str, Any]:
        """The body where it is known to be a JSON object."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class RunningSandbox:
    """A sandbox that runs at `url` and catches mail at `smtp_port` of 127.0.0.1."""

    def __init__(self, url: str, smtp_port: int | None = None, redirect_uri: str = DEFAULT_REDIRECT_URIS[0]) -> None:
        self.url = url
        self.smtp_port = smtp_port
        self.redirect_uri = redirect_uri

    def control(self, provider: str, fault: str | None = None, **settings: Any) -> dict[str, Any]:
        """Arms a fault: `control("spotify", "rate_limited", times=2, operation="api", seconds=1)`."""
        order = {"provider": provider, **settings, **({"fault": fault} if fault else {})}
        return self._ask("POST", "/control", order)

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def stats(self) -> dict[str, Any]:
        return self._ask("GET", "/stats")

    def mail(self, to: str) -> list[dict[str, Any]]:
        """The mails to an address, newest first."""
        items: list[dict[str, Any]] = self._ask("GET", f"/mail?{urlencode({'to': to})}")["items"]
        return items

    def register_redirect_uri(self, uri: str) -> None:
        self._ask("POST", "/redirect-uris", {"redirect_uri": uri})

    def authorize(
        self,
        authorize_url: str,
        account: str = "alice@example.com",
        *,
        deny: bool = False,
        scopes: str | None = None,
    ) -> str:
        """Answers a consent page as a person would; the address that the browser is sent back to.

        `scopes` allows only these of what was asked for.
        """
        choice = {"sandbox_account": account, "sandbox_decision": "deny" if deny else "allow"}
        if scopes is not None:
            choice["sandbox_scopes"] = scopes
        parts = urlsplit(authorize_url)
        answer = self.request("GET", f"{parts.path}?{parts.query}&{urlencode(choice)}")
        if answer.status != 302:
            raise SandboxFailed(f"{parts.path} answered {answer.status}: {answer.body.decode('utf-8', 'replace')}")
        return answer.headers["location"]

    def authorize_url(self, provider: str, scope: str = "", **parameters: str) -> str:
        """A good authorization request of the provider's own client."""
        fields = {
            "client_id": f"sandbox-{provider}",
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": scope,
            **parameters,
        }
        return f"{self.url}{_AUTHORIZATION_PATHS[provider]}?{urlencode(fields)}"

    def tokens(
        self, provider: str, scope: str = "", account: str = "alice@example.com", **parameters: str
    ) -> dict[str, Any]:
        """A whole authorization with PKCE; the token endpoint's answer."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        url = self.authorize_url(provider, scope, code_challenge=challenge, code_challenge_method="S256", **parameters)
        query = parse_qs(urlsplit(self.authorize(url, account)).query)
        if "code" not in query:
            raise SandboxFailed(f"No code was given: {query}")
        return self.token_request(
            provider,
            grant_type="authorization_code",
            code=query["code"][0],
            redirect_uri=self.redirect_uri,
            code_verifier=verifier,
        ).object()

    def refresh(self, provider: str, refresh_token: str) -> Answer:
        return self.token_request(provider, grant_type="refresh_token", refresh_token=refresh_token)

    def token_request(self, provider: str, **form: str) -> Answer:
        """A request to the token endpoint with the provider's own client; a field given as empty is left out."""
        fields = {"client_id": f"sandbox-{provider}", "client_secret": f"sbx_secret_{provider}", **form}
        body = urlencode({name: value for name, value in fields.items() if value}).encode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return self.request("POST", _TOKEN_PATHS[provider], body, headers)

    def api(self, method: str, path: str, token: str, content: object = None) -> Answer:
        """A call of a provider's API with an access token; `path` begins with the provider's name."""
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "sandbox-tests"}
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(content).encode("ascii")
        return self.request(method, path, body, headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, redirects not followed; raises http.client or OSError errors where none is answered."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=70)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, _lower_names(response), response.read())
        finally:
            connection.close()

    def _ask(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode("ascii")
        answer = self.request(method, path, body, {"Content-Type": "application/json"})
        if answer.status != 200:
            raise SandboxFailed(f"{path} answered {answer.status}: {answer.body.decode('utf-8', 'replace')}")
        return answer.object()


@contextmanager
def run_sandbox(redirect_uris: tuple[str, ...] = (), arguments: tuple[str, ...] = ()) -> Iterator[RunningSandbox]:
    """A sandbox in a process of its own, on free ports; it ends with the block, and with this process."""
    uris = redirect_uris or DEFAULT_REDIRECT_URIS
    command = [sys.executable, "-m", "keybearer_sandbox", "--smtp-port", "0", "--until-stdin-closes"]
    for uri in uris:
        command += ["--redirect-uri", uri]
    process = subprocess.Popen(  # noqa: S603 our own program
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SandboxFailed("The sandbox ended before it was ready; its standard error says why.")
            ready = json.loads(line)
            yield RunningSandbox(ready["url"], ready["smtp_port"], uris[0])
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _lower_names(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
