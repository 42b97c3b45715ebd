"""The client that leads out: where it connects, and what it never does."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import httpcore2
import httpx2
import pytest
from keybearer.kit import outbound
from keybearer.kit.outbound import AddressRefused, CheckedNetwork, Outbound, TookTooLong


class Names:
    """A resolver that gives one answer after the other and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Connector(httpcore2.AsyncMockBackend):
    """Notes where a connection would go; refuses the addresses in `dead`."""

    def __init__(self, *dead: str) -> None:
        super().__init__([])
        self.dead = dead
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface has it
        local_address: str | None = None,
        socket_options: Iterable[outbound.SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append((host, port))
        if host in self.dead:
            raise httpcore2.ConnectError
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


@asynccontextmanager
async def client(*allowed: str, names: Names | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    out = Outbound(allowed, resolve=names, tls=ssl.create_default_context())
    try:
        yield out.client()
    finally:
        await out.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/echo",
        "http://localhost:{port}/echo",
        "http://2130706433:{port}/echo",
        "http://0x7f.1:{port}/echo",
        "http://[::1]:{port}/echo",
        "http://[::ffff:127.0.0.1]:{port}/echo",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_refuses_this_machine_and_its_network(upstream: int, url: str) -> None:
    async with client() as http:
        with pytest.raises(AddressRefused):
            await http.get(url.format(port=upstream))


async def test_a_name_that_leads_to_a_private_address_is_refused(upstream: int) -> None:
    async with client(names=Names(["127.0.0.1"])) as http:
        with pytest.raises(AddressRefused) as refused:
            await http.get(f"http://api.example.com:{upstream}/echo")
    assert refused.value.request.url.host == "api.example.com"


async def test_an_allowed_name_and_port_is_reached(upstream: int) -> None:
    async with client(f"api.example.com:{upstream}", names=Names(["127.0.0.1"])) as http:
        answer = await http.get(f"http://API.example.com:{upstream}/echo")
    assert answer.json()["host"] == f"api.example.com:{upstream}"


async def test_the_permission_is_for_one_port(upstream: int) -> None:
    async with client(f"127.0.0.1:{upstream - 1}") as http:
        with pytest.raises(AddressRefused):
            await http.get(f"http://127.0.0.1:{upstream}/echo")


async def test_the_permission_is_for_the_name_not_for_its_address(upstream: int) -> None:
    async with client(f"127.0.0.1:{upstream}", names=Names(["127.0.0.1"])) as http:
        with pytest.raises(AddressRefused):
            await http.get(f"http://rebound.example.com:{upstream}/echo")


async def test_connects_to_the_address_that_was_judged() -> None:
    names, connector = Names(["93.184.215.14"], ["127.0.0.1"]), Connector()
    await CheckedNetwork(frozenset(), names, connector).connect_tcp("example.com", 443)
    assert names.asked == [("example.com", 443)]
    assert connector.connected == [("93.184.215.14", 443)]


async def test_a_name_that_changes_its_mind_is_judged_again() -> None:
    names, connector = Names(["93.184.215.14"], ["10.0.0.1"]), Connector()
    network = CheckedNetwork(frozenset(), names, connector)
    await network.connect_tcp("example.com", 443)
    with pytest.raises(AddressRefused):
        await network.connect_tcp("example.com", 443)
    assert connector.connected == [("93.184.215.14", 443)]


async def test_skips_private_addresses_and_dead_ones() -> None:
    names, connector = Names(["10.0.0.1", "8.8.8.8", "8.8.4.4"]), Connector("8.8.8.8")
    await CheckedNetwork(frozenset(), names, connector).connect_tcp("example.com", 443)
    assert connector.connected == [("8.8.8.8", 443), ("8.8.4.4", 443)]


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_an_unknown_name_is_a_connect_error(failure: Exception) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise failure

    out = Outbound(resolve=resolve, tls=ssl.create_default_context())
    with pytest.raises(httpx2.ConnectError):
        await out.client().get("http://nowhere.example.com/")
    await out.aclose()


async def test_a_slow_resolver_is_not_waited_for() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    out = Outbound(resolve=resolve, tls=ssl.create_default_context())
    with pytest.raises(httpx2.ConnectTimeout):
        await out.client().get("http://slow.example.com/", timeout=0.05)
    await out.aclose()


async def test_does_not_follow_redirects(upstream: int) -> None:
    async with client(f"127.0.0.1:{upstream}") as http:
        assert (await http.get(f"http://127.0.0.1:{upstream}/redirect")).status_code == 307
        with pytest.raises(httpx2.TooManyRedirects):
            await http.get(f"http://127.0.0.1:{upstream}/redirect", follow_redirects=True)


async def test_keeps_no_cookies(upstream: int) -> None:
    async with client(f"127.0.0.1:{upstream}") as http:
        answer = await http.get(f"http://127.0.0.1:{upstream}/cookie")
        assert "set-cookie" in answer.headers
        assert not list(http.cookies.jar)
        assert (await http.get(f"http://127.0.0.1:{upstream}/echo")).json()["cookie"] is None


async def test_ignores_proxies_of_the_environment(upstream: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with client(f"127.0.0.1:{upstream}") as http:
        assert (await http.get(f"http://127.0.0.1:{upstream}/echo")).status_code == 200


async def test_tls_proves_the_name_not_the_address(upstream: int) -> None:
    """The server speaks no TLS; what matters is which name the handshake would have been held to."""
    asked: list[object] = []

    async def trace(event: str, info: dict[str, object]) -> None:
        if event == "connection.start_tls.started":
            asked.append(info["server_hostname"])

    async with client(f"api.example.com:{upstream}", names=Names(["127.0.0.1"])) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get(f"https://api.example.com:{upstream}/", extensions={"trace": trace})
    assert asked == ["api.example.com"]


async def test_within_ends_a_call_that_takes_too_long(upstream: int) -> None:
    async with client(f"127.0.0.1:{upstream}") as http:
        with pytest.raises(TookTooLong):
            async with outbound.within(0.1):
                await http.get(f"http://127.0.0.1:{upstream}/never")


async def test_within_lets_other_time_outs_through() -> None:
    with pytest.raises(TimeoutError, match="another"):
        async with outbound.within(5):
            raise TimeoutError("another")


async def test_urls_and_headers_reach_no_log(upstream: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with client(f"127.0.0.1:{upstream}") as http:
            url = f"http://127.0.0.1:{upstream}/echo?token=planted-in-url"
            await http.get(url, headers={"authorization": "planted-in-header"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    assert not [line for line in ours if "planted" in line]
