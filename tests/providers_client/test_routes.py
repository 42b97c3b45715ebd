"""GET /auth/providers: what strangers see, and what people who are signed in see."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from keybearer.kit.principal import Principal
from keybearer.providers import catalogue
from keybearer.providers.routes import routes
from keybearer.providers.service import Providers

ALICE = Principal(
    tenant_id=uuid4(),
    user_id=uuid4(),
    session_id=uuid4(),
    email="alice@example.com",
    name="Alice",
    avatar_url=None,
    role="member",
    tenant_name="Default",
    expires_at=datetime(2027, 1, 1, tzinfo=UTC),
    authenticated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Authenticator:
    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal

    async def authenticate(self, request: object) -> Principal | None:
        return self.principal


@pytest.fixture
def listed(tmp_path: Path, outbound):
    """Asks as a stranger or as Alice, on an installation with a client for Google and a key form for Weather."""
    (tmp_path / "google.yaml").write_text("client_id: our-client\n")
    (tmp_path / "google.secret").write_text("planted-client-secret")
    (tmp_path / "weather.yaml").write_text("extends: api_key\ntitle: Weather\napis: [{base: https://w.example.com}]\n")
    (tmp_path / "notion.yaml").write_text("client_id: our-client\n")
    (tmp_path / "notion.secret").write_text("planted-client-secret")

    async def ask(principal: Principal | None) -> dict[str, dict[str, object]]:
        providers = Providers(catalogue.load(tmp_path), outbound())
        app = FastAPI()
        app.state.authenticator = Authenticator(principal)
        app.include_router(routes(providers), prefix="/api")
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://keybearer.test") as client:
            answer = await client.get("/api/auth/providers")
        assert answer.status_code == 200
        assert "planted" not in answer.text
        page = answer.json()
        assert page["next"] is None
        return {item["name"]: item for item in page["items"]}

    return ask


async def test_strangers_see_where_they_can_sign_in(listed) -> None:
    found = await listed(None)
    assert list(found) == ["google"]
    assert found["google"].keys() == {
        "name", "title", "icon", "auth", "sign_in", "connect", "unverified", "docs_url", "scopes", "default_scopes",
        "fields", "configured",
    }  # fmt: skip


async def test_people_see_all(listed) -> None:
    found = await listed(ALICE)
    assert {"google", "spotify", "github", "weather", "notion"} <= found.keys()
    assert not {"api_key", "oauth2", "oidc"} & found.keys()
    assert (found["google"]["configured"], found["spotify"]["configured"]) == (True, False)
    assert {"name": "openid", "title": "Know who you are"} in found["google"]["scopes"]


async def test_a_generic_entry_shows_once_it_is_set_up(listed, tmp_path: Path) -> None:
    (tmp_path / "oidc.yaml").write_text("title: Ours\nissuer: https://ours.example.com\nclient_id: our-client\n")
    (tmp_path / "oidc.secret").write_text("planted-client-secret")
    assert (await listed(ALICE))["oidc"]["title"] == "Ours"
    assert "oidc" in await listed(None)


async def test_a_form_says_what_to_ask_for(listed) -> None:
    weather = (await listed(ALICE))["weather"]
    assert (weather["auth"], weather["configured"]) == ("api_key", True)
    assert weather["fields"] == [{"name": "api_key", "label": "API key", "secret": True, "placeholder": None}]
