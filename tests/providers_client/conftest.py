"""A provider in miniature that says what a test wants it to, and the sandbox's providers as the catalogue has them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
import pytest
from keybearer.kit.outbound import Outbound
from keybearer.providers import catalogue
from keybearer.providers.model import ClientSecret, Provider
from keybearer.providers.service import Providers
from keybearer_sandbox.testing import RunningSandbox
from starlette.responses import Response

TLS = ssl.create_default_context()  # reading the authorities takes longer than most tests


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> object:
        return json.loads(self.body)


Reply = Response | Callable[[Asked], Awaitable[Response]]


@dataclass
class FakeProvider:
    """Answers each path with what `replies` holds for it, else 404; `asked` are the requests so far."""

    url: str
    stop: Callable[[], Awaitable[None]]
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def says(self, path: str, content: object, status: int = 200, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[path] = Response(json.dumps(content), status, names, "application/json")

    async def answer(self, asked: Asked) -> Response:
        self.asked.append(asked)
        reply = self.replies.get(asked.path, Response(status_code=404))
        return reply if isinstance(reply, Response) else await reply(asked)

    def count(self, path: str) -> int:
        return sum(1 for one in self.asked if one.path == path)

    @property
    def authority(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    """Speaks HTTP through h11 alone, because a whole server takes longer to start and stop than most tests run."""
    talks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks[writer] = asyncio.ensure_future(_converse(provider, reader, writer))
        try:
            await talks[writer]
        except h11.RemoteProtocolError:  # a caller who speaks TLS here; it is to see the connection end
            del talks[writer]
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        for writer in talks:
            writer.close()
        await asyncio.gather(*talks.values())

    provider = FakeProvider(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", stop)
    yield provider
    await stop()


async def _converse(provider: FakeProvider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        request, body = None, b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await _received(reader))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return
        assert request is not None
        response = await provider.answer(_asked(request, body))
        head = h11.Response(status_code=response.status_code, headers=response.raw_headers)
        for part in (head, h11.Data(data=response.body), h11.EndOfMessage()):
            writer.write(connection.send(part) or b"")
        await writer.drain()
        if connection.our_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _received(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""


def _asked(request: h11.Request, body: bytes) -> Asked:
    parts = urlsplit(request.target.decode())
    headers = {name.decode(): value.decode() for name, value in request.headers}
    return Asked(request.method.decode(), unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)


@pytest.fixture
async def outbound() -> AsyncIterator[Callable[..., Outbound]]:
    """Makes clients that may reach the given authorities."""
    made: list[Outbound] = []

    def make(*allowed: str) -> Outbound:
        made.append(Outbound(allowed, tls=TLS))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(fake: FakeProvider) -> Provider:
    """A plain OAuth 2 provider at the fake, to be varied with `replace`."""
    from keybearer.providers.model import Endpoints, Identity

    return Provider(
        name="acme",
        title="Acme",
        auth="oauth2",
        endpoints=Endpoints(authorize=f"{fake.url}/authorize", token=f"{fake.url}/token", userinfo=f"{fake.url}/me"),
        identity=Identity(
            source="userinfo",
            subject=("id",),
            email=("email",),
            email_verified=("verified",),
            name=("name",),
            avatar=("images.0.url",),
        ),
        account_name=("name",),
        client_id="our-client",
        client_secret=ClientSecret("planted-client-secret"),
    )


@pytest.fixture
def providers(fake: FakeProvider, provider: Provider, outbound, clock: Clock) -> Providers:
    return Providers(
        catalogue.Catalogue({provider.name: provider}),
        outbound(fake.authority),
        clock=clock,
        monotonic=clock,
    )


@pytest.fixture
def sandbox_providers(sandbox: RunningSandbox, outbound, tmp_path: Path) -> Providers:
    """The catalogue's own entries, with nothing but addresses and clients replaced."""
    at = sandbox.url
    entries = {
        "google": f"""
issuer: {at}/google
revoke: {{url: {at}/google/revoke}}
""",
        "spotify": f"""
endpoints: {{authorize: {at}/spotify/authorize, token: {at}/spotify/api/token, userinfo: {at}/spotify/v1/me}}
""",
        "github": f"""
endpoints:
  authorize: {at}/github/login/oauth/authorize
  token: {at}/github/login/oauth/access_token
  userinfo: {at}/github/api/user
  emails: {at}/github/api/user/emails
revoke: {{url: "{at}/github/api/applications/{{client_id}}/grant"}}
""",
        "oidc": f"issuer: {at}/oidc",
    }
    for name, text in entries.items():
        (tmp_path / f"{name}.yaml").write_text(f"client_id: sandbox-{name}\n{text}")
        (tmp_path / f"{name}.secret").write_text(f"sbx_secret_{name}")
    return Providers(catalogue.load(tmp_path), outbound(at.removeprefix("http://")))
