"""What may be asked for: pure rules."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from keybearer.grants import model
from keybearer.grants.model import Wish
from keybearer.kit.errors import BadInput, Conflict, KeybearerError, NotFound
from keybearer.vault.model import Connection

ME = uuid4()


def connection(provider: str, *scopes: str, state: str = "active") -> Connection:
    return Connection(
        id=uuid4(),
        tenant_id=uuid4(),
        user_id=ME,
        provider=provider,
        account_id="a",
        account_name=f"alice at {provider}",
        state=state,
        state_reason=None,
        scopes=scopes,
        access_expires_at=None,
        grant_expires_at=None,
        last_used_at=None,
        created_at=datetime.now(UTC),
        epoch=1,
        dek_id=uuid4(),
    )


@pytest.mark.parametrize("agent", ["D", "x" * 64, "Ægir 2", "Музыка", "DJ (living room)"])
def test_names_that_people_give(agent):
    model.check(Wish(agent=agent, providers=["spotify"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": ""},
        {"agent": "x" * 65},
        {"agent": " DJ"},
        {"agent": "D\nJ"},
        {"agent": "D\x00J"},
        {"agent": "D\u200bJ"},
        {"agent": "D\u202eJ"},
        {"agent": "D\ud800J"},
        {"agent": "\u00a0"},
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": "two\nlines"},
        {"ttl_seconds": 59},
        {"ttl_seconds": 2_592_001},
        {"ttl_seconds": -1},
        {"providers": []},
        {"providers": ["spotify"] * 51},
    ],
)
def test_wishes_that_are_not_valid(changes):
    with pytest.raises(BadInput) as raised:
        model.check(Wish(**{"agent": "DJ", "providers": ["spotify"], **changes}))
    assert raised.value.code == "request_invalid"


@pytest.mark.parametrize("seconds", [60, 3600, 2_592_000])
def test_lives_from_a_minute_to_thirty_days(seconds):
    model.check(Wish(agent="DJ", providers=["spotify"], ttl_seconds=seconds))


def test_providers_and_connections_name_each_account_once():
    spotify, github = connection("spotify"), connection("github")
    wish = Wish(agent="DJ", connections=[github.id, github.id], providers=["spotify", "spotify", "github"])
    assert model.choose(wish, [spotify, github]) == (github, spotify)


def refusal(wish: Wish, held: list[Connection]) -> KeybearerError:
    with pytest.raises(KeybearerError) as raised:
        model.choose(wish, held)
    return raised.value


def test_a_provider_with_two_accounts_needs_a_choice():
    first, second = connection("spotify"), connection("spotify")
    error = refusal(Wish(agent="DJ", providers=["spotify"]), [first, second])
    assert isinstance(error, Conflict)
    assert error.code == "connection_ambiguous"
    assert [one["id"] for one in error.extra["connections"]] == [str(first.id), str(second.id)]
    assert model.choose(Wish(agent="DJ", connections=[second.id]), [first, second]) == (second,)


def test_a_disconnected_account_is_not_there():
    gone, live = connection("spotify", state="revoked"), connection("spotify")
    assert model.choose(Wish(agent="DJ", providers=["spotify"]), [gone, live]) == (live,)
    error = refusal(Wish(agent="DJ", connections=[gone.id]), [gone, live])
    assert isinstance(error, NotFound)
    assert error.code == "connection_not_found"


@pytest.mark.parametrize("named", [{"connections": [UUID(int=7)]}, {"providers": ["github"]}])
def test_what_is_not_connected_is_not_found(named):
    assert refusal(Wish(agent="DJ", **named), [connection("spotify")]).code == "connection_not_found"


def test_an_account_to_be_reconnected_gets_no_agents():
    waiting = connection("spotify", state="needs_reconnect")
    assert refusal(Wish(agent="DJ", providers=["spotify"]), [waiting]).code == "needs_reconnect"


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [(None, None), ([], ()), (["a"], ("a",)), (["b", "a", "b"], ("b", "a")), (["c"], ("c",))],
)
def test_scopes_are_some_of_what_the_connections_have(wanted, stored):
    chosen = [connection("spotify", "a", "b"), connection("github", "c")]
    assert model.narrowed(Wish(agent="DJ", scopes=wanted), chosen) == stored


def test_scopes_that_were_never_given_are_named():
    with pytest.raises(BadInput) as raised:
        model.narrowed(Wish(agent="DJ", scopes=["a", "admin"]), [connection("spotify", "a")])
    assert (raised.value.code, raised.value.extra) == ("scope_not_granted", {"scopes": ["admin"]})
