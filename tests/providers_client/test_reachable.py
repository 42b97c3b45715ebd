"""Whether a provider can be reached at all, as `keybearer verify` asks and says it."""

import socket
from dataclasses import replace

import pytest
from keybearer.providers.model import Endpoints
from starlette.responses import Response


def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return closed.getsockname()[1]


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 405, 503])
async def test_any_answer_of_the_token_endpoint_will_do(fake, provider, providers, status: int) -> None:
    fake.replies["/token"] = Response(status_code=status, headers={"location": "https://elsewhere.example/"})
    assert await providers.reachable(provider) is None
    assert [(asked.method, asked.path, asked.body) for asked in fake.asked] == [("GET", "/token", b"")]


async def test_nothing_that_belongs_to_the_installation_is_sent(fake, provider, providers) -> None:
    await providers.reachable(provider)
    sent = str(fake.asked[0])
    assert "our-client" not in sent
    assert "planted" not in sent


async def test_a_closed_port_is_named(fake, provider, outbound, providers) -> None:
    await fake.stop()
    said = await providers.reachable(provider)
    assert said is not None
    assert said.startswith(f"{fake.url}/token gives no answer (")
    assert said.endswith("check the address, DNS and firewall")


async def test_a_private_address_that_is_not_allowed_is_not_asked(provider, providers) -> None:
    given = replace(provider, endpoints=Endpoints(token=f"http://127.0.0.1:{closed_port()}/token"))
    assert "gives no answer" in (await providers.reachable(given) or "")


async def test_without_a_token_endpoint_it_says_where_to_read_on(provider, providers) -> None:
    given = replace(provider, endpoints=Endpoints(authorize="https://acme.example/authorize"))
    assert await providers.reachable(given) == "no token endpoint is known; see docs/providers.md"


async def test_discovery_that_fails_is_the_problem(fake, provider, providers) -> None:
    given = replace(provider, issuer=fake.url, discovery=f"{fake.url}/gone", endpoints=Endpoints())
    said = await providers.reachable(given)
    assert said is not None
    assert said.startswith("Acme ")
