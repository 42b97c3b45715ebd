"""Tokens for LiveKit rooms: that room alone, that person, and no longer than the session."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from installation import Browser, Installation, installed
from keybearer.kit.principal import Principal
from keybearer.rooms.service import LONGEST, LiveKit, Rooms, room_of
from keybearer.tenancy.model import DEFAULT_ID, Tenant
from livekit.api import TokenVerifier

KEY, SECRET = "keybearer", "a secret of thirty-two characters or more"
LIVEKIT = LiveKit("wss://livekit.test", KEY, SECRET)


@pytest.fixture(scope="module")
def site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("rooms") / "installation"
    database = module_database
    livekit = {"LIVEKIT_URL": LIVEKIT.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    with installed(folder, database.url, database.owner_url, keybearer_sandbox_server, **livekit) as made:
        made.start()
        yield made


@pytest.fixture
def alice(site: Installation, sandbox) -> Browser:
    browser = site.browser()
    site.sign_in(browser)
    return browser


def test_a_signed_in_person_gets_a_token_for_the_room(site: Installation, alice: Browser) -> None:
    me = alice.get("/api/auth/me").json()
    made = alice.post("/api/auth/token", json={"room_name": "kitchen", "participant_name": "Alice"})
    assert made.status_code == 200, made.text
    answer = made.json()
    assert answer == {
        "livekit_token": answer["livekit_token"],
        "livekit_url": LIVEKIT.url,
        "room_name": "kitchen",
        "session_id": me["session"]["id"],
    }
    claims = TokenVerifier(KEY, SECRET).verify(answer["livekit_token"])
    assert (claims.identity, claims.name) == (me["id"], "Alice")
    assert (claims.video.room_join, claims.video.room) == (True, "kitchen")
    assert not any([claims.video.room_admin, claims.video.room_create, claims.video.room_list])
    assert SECRET not in site.log.read_text()


def test_strangers_get_none(site: Installation) -> None:
    answer = site.browser().post("/api/auth/token", json={"room_name": "kitchen", "participant_name": "Eve"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"room_name": "", "participant_name": "A"},
        {"room_name": "other-tenant/room", "participant_name": "A"},
        {"room_name": "a\x00", "participant_name": "A"},
        {"room_name": "a", "participant_name": "A" * 129},
        {"room_name": "a", "participant_name": "A", "admin": True},
    ],
)
def test_bad_wishes_are_refused(alice: Browser, body: dict[str, object]) -> None:
    answer = alice.post("/api/auth/token", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def principal(left: timedelta) -> Principal:
    now = datetime.now(UTC)
    return Principal(
        tenant_id=DEFAULT_ID,
        user_id=uuid4(),
        session_id=uuid4(),
        email=None,
        name="Alice",
        avatar_url=None,
        role="member",
        tenant_name="Default",
        expires_at=now + left,
        authenticated_at=now,
    )


@pytest.mark.parametrize(
    ("left", "longest"), [(timedelta(days=7), LONGEST), (timedelta(minutes=10), timedelta(minutes=10))]
)
def test_a_token_lasts_at_most_six_hours_and_never_past_the_session(left: timedelta, longest: timedelta) -> None:
    tenant = Tenant(DEFAULT_ID, "default", "Default", "https://kb.test")
    made = Rooms(LIVEKIT).token(principal(left), tenant, "kitchen", "Alice")
    ends = _expiry(made.token) - datetime.now(UTC)
    assert longest - timedelta(minutes=1) < ends <= longest


def test_tenants_never_meet() -> None:
    other = Tenant(uuid4(), "acme", "Acme", "https://acme.test")
    assert room_of(other, "kitchen") == "acme/kitchen"


def _expiry(token: str) -> datetime:
    import base64
    import json

    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return datetime.fromtimestamp(claims["exp"], UTC)
