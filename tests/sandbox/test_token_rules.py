"""Rules of time that no test can wait for: codes end after ten minutes, access tokens with their lifetime."""

import pytest
from keybearer_sandbox.oauth.refusals import TokenRefused
from keybearer_sandbox.oauth.tokens import MAX_REMEMBERED, Grant, Tokens

GRANT = Grant("g1", "spotify", "client", "alice@example.com", ("a",), offline=True)
REDIRECT_URI = "http://localhost/callback"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(clock, lambda: None)


@pytest.mark.parametrize(("waited", "good"), [(0, True), (599, True), (600, False), (86_400, False)])
def test_a_code_lives_ten_minutes(tokens: Tokens, clock: Clock, waited: int, good: bool) -> None:
    code = tokens.issue_code(GRANT, REDIRECT_URI, None, None)
    clock.now += waited
    form = {"code": code.value, "redirect_uri": REDIRECT_URI}
    if good:
        assert tokens.redeem_code(form, "client", public=False) is code
    else:
        with pytest.raises(TokenRefused, match="code_expired"):
            tokens.redeem_code(form, "client", public=False)


def test_a_code_is_bound_to_its_client(tokens: Tokens) -> None:
    code = tokens.issue_code(GRANT, REDIRECT_URI, None, None)
    with pytest.raises(TokenRefused, match="code_unknown"):
        tokens.redeem_code({"code": code.value}, "another-client", public=False)


@pytest.mark.parametrize(
    ("lifetime", "waited", "expired"), [(3600, 3599, False), (3600, 3600, True), (None, 10**9, False)]
)
def test_access_tokens_end_on_time(tokens: Tokens, clock: Clock, lifetime, waited, expired) -> None:
    token = tokens.issue_access_token(GRANT, lifetime)
    clock.now += waited
    assert tokens.is_expired(token) is expired


@pytest.mark.parametrize(("waited", "good"), [(0, True), (9, True), (10, False)])
def test_a_replaced_token_works_through_its_grace(tokens: Tokens, clock: Clock, waited: int, good: bool) -> None:
    old = tokens.issue_refresh_token(GRANT)
    new = tokens.rotate(old, grace_seconds=10)
    clock.now += waited
    assert tokens.usable_refresh_token(new.value, "client") is new
    if good:
        assert tokens.rotate(tokens.usable_refresh_token(old.value, "client"), grace_seconds=10) is new
    else:
        with pytest.raises(TokenRefused, match="refresh_token_revoked"):
            tokens.usable_refresh_token(old.value, "client")


def test_a_snapshot_restores_what_it_saw(tokens: Tokens, clock: Clock) -> None:
    access, refresh = tokens.issue_access_token(GRANT, 60), tokens.issue_refresh_token(GRANT)
    tokens.revoke_refresh_tokens("github")
    restored = Tokens(clock, lambda: None)
    restored.restore(tokens.snapshot())
    assert restored.find_access_token(access.value) == access
    assert restored.usable_refresh_token(refresh.value, "client") == refresh


def test_memory_is_bounded(tokens: Tokens) -> None:
    first = tokens.issue_access_token(GRANT, 60)
    for _ in range(MAX_REMEMBERED):
        tokens.issue_access_token(GRANT, 60)
    assert tokens.find_access_token(first.value) is None
    assert len(tokens.snapshot()["access"]) == MAX_REMEMBERED
