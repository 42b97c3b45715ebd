"""Each fault, exactly as it was ordered: where it strikes, how often, and what is left afterwards."""

import http.client
import time

import pytest

TOKEN_SCOPES = {"google": "openid", "spotify": "", "github": "repo", "oidc": "openid offline_access"}
API = {
    "google": "/google/v1/userinfo",
    "spotify": "/spotify/v1/me",
    "github": "/github/user",
    "oidc": "/oidc/userinfo",
}
PROVIDERS = tuple(API)


def connect(sandbox, provider: str) -> dict[str, str]:
    if provider == "github":
        sandbox.control("github", expires_in=28_800)
    return sandbox.tokens(provider, TOKEN_SCOPES[provider], access_type="offline")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_invalid_grant_lasts_until_reset_unless_times_are_given(sandbox, provider) -> None:
    tokens = connect(sandbox, provider)
    status = 200 if provider == "github" else 400
    error = "bad_refresh_token" if provider == "github" else "invalid_grant"
    sandbox.control(provider, "invalid_grant", times=2)
    for expected in (error, error, None):
        answer = sandbox.refresh(provider, tokens["refresh_token"])
        assert answer.json().get("error") == expected
        assert answer.status == (status if expected else 200)
    tokens = {**tokens, **answer.json()}
    sandbox.control(provider, "invalid_grant")
    for _ in range(5):
        assert sandbox.refresh(provider, tokens["refresh_token"]).json()["error"] == error


def test_invalid_grant_says_what_spotify_says_and_leaves_a_new_consent_alone(sandbox) -> None:
    tokens = connect(sandbox, "spotify")
    sandbox.control("spotify", "invalid_grant")
    answer = sandbox.refresh("spotify", tokens["refresh_token"])
    assert answer.json() == {"error": "invalid_grant", "error_description": "Refresh token revoked"}
    assert "access_token" in connect(sandbox, "spotify")


@pytest.mark.parametrize(
    ("provider", "status", "error"),
    [
        ("google", 401, "invalid_client"),
        ("spotify", 400, "invalid_client"),
        ("github", 200, "incorrect_client_credentials"),
        ("oidc", 401, "invalid_client"),
    ],
)
def test_invalid_client(sandbox, provider, status, error) -> None:
    tokens = connect(sandbox, provider)
    sandbox.control(provider, "invalid_client", times=1)
    answer = sandbox.refresh(provider, tokens["refresh_token"])
    assert (answer.status, answer.json()["error"]) == (status, error)
    assert "access_token" in sandbox.refresh(provider, tokens["refresh_token"]).json()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("fault", "status"), [("rate_limited", 429), ("server_error", 503)])
@pytest.mark.parametrize("operation", ["token", "refresh", "api", "any", None])
def test_refusals_strike_where_they_were_aimed(sandbox, provider, fault, status, operation) -> None:
    tokens = connect(sandbox, provider)
    aim = {"operation": operation} if operation else {}
    hits_api = operation in ("api", "any", None)
    hits_token = operation != "api"

    sandbox.control(provider, fault, times=1, seconds=7, **aim)
    at_api = [sandbox.api("GET", API[provider], tokens["access_token"]) for _ in range(2)]
    assert [a.status for a in at_api] == [status if hits_api else 200, 200]

    sandbox.control(provider, "none")
    sandbox.control(provider, fault, times=1, seconds=7, **aim)
    at_token = [sandbox.refresh(provider, tokens["refresh_token"]) for _ in range(2)]
    assert [a.status for a in at_token] == [status if hits_token else 200, 200]

    if fault == "rate_limited":
        struck = [a for a in (*at_api, *at_token) if a.status == 429]
        assert {a.headers["retry-after"] for a in struck} == {"7"}


@pytest.mark.parametrize(
    ("provider", "status", "body"),
    [
        ("spotify", 429, {"error": {"status": 429, "message": "API rate limit exceeded"}}),
        (
            "google",
            429,
            {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}},
        ),
    ],
)
def test_the_rate_limit_is_told_in_the_providers_shape(sandbox, provider, status, body) -> None:
    tokens = connect(sandbox, provider)
    sandbox.control(provider, "rate_limited", operation="api")
    answer = sandbox.api("GET", API[provider], tokens["access_token"])
    assert (answer.status, answer.json()) == (status, body)


@pytest.mark.parametrize("provider", ["spotify", "google", "oidc"])
def test_rotate_replaces_the_refresh_token_each_time(sandbox, provider) -> None:
    first = connect(sandbox, provider)["refresh_token"]
    sandbox.control(provider, "rotate")
    second = sandbox.refresh(provider, first).json()["refresh_token"]
    third = sandbox.refresh(provider, second).json()["refresh_token"]
    assert len({first, second, third}) == 3
    for dead in (first, second):
        assert sandbox.refresh(provider, dead).json()["error"] == "invalid_grant"


def test_a_rotation_with_grace_answers_the_same_successor(sandbox) -> None:
    first = connect(sandbox, "spotify")["refresh_token"]
    sandbox.control("spotify", "rotate", times=1, rotation_grace_seconds=60)
    seconds = {sandbox.refresh("spotify", first).json()["refresh_token"] for _ in range(3)}
    assert len(seconds) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lost_response_with_grace_can_be_repeated(sandbox, provider) -> None:
    old = connect(sandbox, provider)["refresh_token"]
    sandbox.control(provider, "lost_response", times=2, rotation_grace_seconds=60)
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            sandbox.refresh(provider, old)
    answer = sandbox.refresh(provider, old).json()
    assert answer["refresh_token"] != old
    assert "access_token" in sandbox.refresh(provider, answer["refresh_token"]).json()
    assert sandbox.stats()[provider]["refresh_succeeded"] == 4


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lost_response_without_grace_loses_the_grant(sandbox, provider) -> None:
    old = connect(sandbox, provider)["refresh_token"]
    sandbox.control(provider, "lost_response")
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.refresh(provider, old)
    assert sandbox.refresh(provider, old).json()["error"] in ("invalid_grant", "bad_refresh_token")


def test_the_grace_ends_when_it_was_said_to(sandbox) -> None:
    old = connect(sandbox, "spotify")["refresh_token"]
    sandbox.control("spotify", "lost_response", rotation_grace_seconds=0.3)
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.refresh("spotify", old)
    lost_at = time.monotonic()
    statuses = [sandbox.refresh("spotify", old).status]
    while statuses[-1] == 200 and time.monotonic() - lost_at < 5:
        statuses.append(sandbox.refresh("spotify", old).status)
    assert statuses[0] == 200
    assert statuses[-1] == 400


def test_a_lost_response_of_the_api_did_its_work(sandbox) -> None:
    token = sandbox.tokens("spotify", "user-modify-playback-state user-read-playback-state")["access_token"]
    sandbox.control("spotify", "lost_response", operation="api")
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.api("PUT", "/spotify/v1/me/player/play", token)
    assert sandbox.api("GET", "/spotify/v1/me/player", token).json()["is_playing"] is True


def test_a_lost_code_exchange_used_the_code_up(sandbox) -> None:
    sandbox.control("spotify", "lost_response", operation="code")
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.tokens("spotify")
    assert "access_token" in sandbox.tokens("spotify")


@pytest.mark.parametrize(("operation", "tokens"), [("refresh", 1), ("code", 0), (None, 0)])
def test_omit_refresh_token(sandbox, operation, tokens) -> None:
    sandbox.control("spotify", "omit_refresh_token", **({"operation": operation} if operation else {}))
    assert len([k for k in sandbox.tokens("spotify") if k == "refresh_token"]) == tokens


def test_an_omitted_refresh_token_is_not_rotated(sandbox) -> None:
    old = connect(sandbox, "spotify")["refresh_token"]
    sandbox.control("spotify", "rotate")
    sandbox.control("spotify", "omit_refresh_token", operation="refresh")
    for _ in range(2):
        assert "refresh_token" not in sandbox.refresh("spotify", old).json()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_expire_access_tokens_ends_all_of_them_now(sandbox, provider) -> None:
    tokens = [connect(sandbox, provider)["access_token"] for _ in range(2)]
    assert sandbox.control(provider, "expire_access_tokens")["expired"] == 2
    assert [sandbox.api("GET", API[provider], t).status for t in tokens] == [401, 401]
    fresh = connect(sandbox, provider)["access_token"]
    assert sandbox.api("GET", API[provider], fresh).status == 200


def test_expires_in_is_obeyed_and_told(sandbox) -> None:
    sandbox.control("spotify", expires_in=1)
    tokens = connect(sandbox, "spotify")
    assert tokens["expires_in"] == 1
    deadline = time.monotonic() + 10
    while (answer := sandbox.api("GET", API["spotify"], tokens["access_token"])).status == 200:
        assert time.monotonic() < deadline
    assert answer.json()["error"]["message"] == "The access token expired"
    sandbox.control("spotify", expires_in=None)
    assert connect(sandbox, "spotify")["expires_in"] == 3600


@pytest.mark.parametrize("provider", PROVIDERS)
def test_reject_access_token_refuses_good_tokens_only(sandbox, provider) -> None:
    token = connect(sandbox, provider)["access_token"]
    sandbox.control(provider, "reject_access_token", times=2)
    assert sandbox.api("GET", API[provider], "sbx_at_wrong").status == 401
    assert [sandbox.api("GET", API[provider], token).status for _ in range(3)] == [401, 401, 200]


def test_revoke_refresh_tokens_ends_only_those_that_exist(sandbox) -> None:
    old = connect(sandbox, "spotify")["refresh_token"]
    assert sandbox.control("spotify", "revoke_refresh_tokens")["revoked"] == 1
    assert sandbox.refresh("spotify", old).json()["error_description"] == "Refresh token revoked"
    assert sandbox.refresh("spotify", connect(sandbox, "spotify")["refresh_token"]).status == 200


@pytest.mark.parametrize("operation", ["token", "api"])
def test_slow_answers_late_but_rightly(sandbox, operation) -> None:
    tokens = connect(sandbox, "spotify")
    sandbox.control("spotify", "slow", seconds=0.4, operation=operation)
    began = time.monotonic()
    if operation == "token":
        assert sandbox.refresh("spotify", tokens["refresh_token"]).status == 200
    else:
        assert sandbox.api("GET", API["spotify"], tokens["access_token"]).status == 200
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("operation", ["token", "api"])
def test_timeout_never_answers_and_changes_nothing(sandbox, operation) -> None:
    tokens = connect(sandbox, "spotify")
    calls = {
        "token": lambda: sandbox.refresh("spotify", tokens["refresh_token"]),
        "api": lambda: sandbox.api("GET", API["spotify"], tokens["access_token"]),
    }
    sandbox.control("spotify", "timeout", seconds=0.4, operation=operation)
    began = time.monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        calls[operation]()
    assert time.monotonic() - began >= 0.4
    assert sandbox.refresh("spotify", tokens["refresh_token"]).status == 200


def test_faults_of_one_provider_leave_the_others_alone(sandbox) -> None:
    tokens = {p: connect(sandbox, p) for p in PROVIDERS}
    sandbox.control("spotify", "server_error", times=None)
    sandbox.control("google", "rate_limited", times=3)
    statuses = {p: sandbox.api("GET", API[p], t["access_token"]).status for p, t in tokens.items()}
    assert statuses == {"google": 429, "spotify": 503, "github": 200, "oidc": 200}
    sandbox.control("spotify", "none")
    assert sandbox.api("GET", API["spotify"], tokens["spotify"]["access_token"]).status == 200
    assert sandbox.api("GET", API["google"], tokens["google"]["access_token"]).status == 429


@pytest.mark.parametrize(
    ("operation", "path", "method"),
    [("authorize", "/spotify/authorize", "GET"), ("revoke", "/google/revoke", "POST")],
)
def test_other_endpoints_can_fail_when_named(sandbox, operation, path, method) -> None:
    sandbox.control(path.split("/")[1], "server_error", operation=operation)
    assert sandbox.request(method, path).status == 503
    assert sandbox.request(method, path).status == 400


def test_reset_forgets_faults_tokens_and_counts(sandbox) -> None:
    tokens = connect(sandbox, "spotify")
    sandbox.control("spotify", "server_error", times=None)
    sandbox.control("spotify", expires_in=5)
    sandbox.reset()
    counts = sandbox.stats()["spotify"]
    assert counts.pop("access_tokens_sha256") == []
    assert set(counts.values()) == {0}
    assert (
        sandbox.api("GET", API["spotify"], tokens["access_token"]).json()["error"]["message"] == "Invalid access token"
    )
    assert connect(sandbox, "spotify")["expires_in"] == 3600
