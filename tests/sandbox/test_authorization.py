"""The authorization endpoints: who is sent back with what, and who is never sent anywhere."""

from urllib.parse import parse_qs, urlsplit

import pytest
from keybearer_sandbox.testing import RunningSandbox

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SCOPES = {"google": "openid email", "spotify": "user-read-email", "github": "repo", "oidc": "openid email"}
PROVIDERS = tuple(SCOPES)


def request(sandbox: RunningSandbox, provider: str, **changes: str):
    url = sandbox.authorize_url(provider, **{"scope": SCOPES[provider], "state": "a b&c=ü", **changes})
    parts = urlsplit(url)
    return sandbox.request("GET", f"{parts.path}?{parts.query}")


def returned(answer) -> dict[str, str]:
    assert answer.status == 302, answer.body
    assert answer.headers["location"].startswith("http://localhost/callback?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("account", ["alice@example.com", "bob@example.com", "carol@example.com", "dora@example.com"])
def test_a_named_account_consents_at_once(sandbox, provider, account) -> None:
    back = returned(request(sandbox, provider, sandbox_account=account))
    assert back["code"].startswith("sbx_code_")
    assert back["state"] == "a b&c=ü"
    assert sandbox.stats()[provider]["authorize"] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_denial_goes_back_as_access_denied(sandbox, provider) -> None:
    back = returned(request(sandbox, provider, sandbox_account="alice@example.com", sandbox_decision="deny"))
    assert back["error"] == "access_denied"
    assert back["state"] == "a b&c=ü"
    assert "code" not in back


def test_the_generic_server_names_itself_in_its_answer(sandbox) -> None:
    assert returned(request(sandbox, "oidc", sandbox_account="alice"))["iss"] == f"{sandbox.url}/oidc"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "someone-else"},
        {"client_id": ""},
        {"redirect_uri": "http://localhost/callback/"},
        {"redirect_uri": "http://localhost/callback?x=1"},
        {"redirect_uri": "http://localhost:80/callback"},
        {"redirect_uri": "https://evil.example/callback"},
        {"sandbox_account": "mallory@example.com"},
        {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        {"code_challenge": CHALLENGE},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge_method": "S256"},
    ],
    ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items()),
)
def test_what_cannot_be_trusted_gets_a_page_and_no_redirect(sandbox, provider, changes) -> None:
    answer = request(sandbox, provider, **{"sandbox_account": "alice@example.com", **changes})
    assert 400 <= answer.status < 500
    assert "location" not in answer.headers
    assert b"refused the request" in answer.body


@pytest.mark.parametrize(
    ("provider", "changes", "words"),
    [
        ("google", {"redirect_uri": "https://evil.example/"}, b"Error 400: redirect_uri_mismatch"),
        ("google", {"client_id": "x"}, b"Error 401: invalid_client"),
        ("google", {"scope": ""}, b"Required parameter is missing: scope"),
        ("google", {"scope": "openid nonsense"}, b"invalid_scope"),
        ("google", {"response_type": "token"}, b"unsupported_response_type"),
        ("google", {"access_type": "sometimes"}, b"Invalid parameter value for access_type"),
        ("google", {"prompt": "none consent"}, b"Invalid parameter value for prompt"),
        ("google", {"include_granted_scopes": "yes"}, b"Invalid parameter value for include_granted_scopes"),
        ("spotify", {"redirect_uri": "https://evil.example/"}, b"INVALID_CLIENT"),
        ("spotify", {"scope": "user-read-everything"}, b"INVALID_SCOPE"),
        ("spotify", {"response_type": "token"}, b"response_type must be code"),
        ("spotify", {"response_type": ""}, b"response_type"),
        ("github", {"client_id": "x"}, b"Error 404"),
        ("oidc", {"response_mode": "form_post"}, b"response_mode"),
    ],
)
def test_each_provider_refuses_in_its_own_words(sandbox, provider, changes, words) -> None:
    answer = request(sandbox, provider, **{"sandbox_account": "alice@example.com", **changes})
    assert 400 <= answer.status < 500
    assert words in answer.body


@pytest.mark.parametrize(
    ("provider", "changes", "error"),
    [
        ("google", {"prompt": "none"}, "interaction_required"),
        ("oidc", {"prompt": "none"}, "login_required"),
        ("oidc", {"prompt": "whatever"}, "invalid_request"),
        ("oidc", {"response_type": "token"}, "unsupported_response_type"),
        ("oidc", {"response_type": ""}, "invalid_request"),
        ("oidc", {"scope": "openid admin"}, "invalid_scope"),
        ("oidc", {"request": "eyJ"}, "request_not_supported"),
    ],
)
def test_errors_that_the_client_should_handle_are_returned_to_it(sandbox, provider, changes, error) -> None:
    back = returned(request(sandbox, provider, **{"sandbox_account": "alice@example.com", **changes}))
    assert (back["error"], back["state"]) == (error, "a b&c=ü")


def test_prompt_none_works_after_a_consent(sandbox) -> None:
    returned(request(sandbox, "google", sandbox_account="alice"))
    assert "code" in returned(request(sandbox, "google", sandbox_account="alice", prompt="none"))
    wider = {"scope": "openid email profile", "sandbox_account": "alice", "prompt": "none"}
    assert returned(request(sandbox, "google", **wider))["error"] == "interaction_required"


def test_github_needs_no_redirect_uri(sandbox) -> None:
    answer = sandbox.request("GET", "/github/login/oauth/authorize?client_id=sandbox-github&sandbox_account=bob")
    assert returned(answer)["code"]


def test_a_redirect_uri_can_be_registered_and_keeps_its_own_query(sandbox) -> None:
    uri = "http://127.0.0.1:4321/api/spotify/callback?tenant=a%20b"
    assert request(sandbox, "spotify", redirect_uri=uri, sandbox_account="alice").status == 400
    sandbox.register_redirect_uri(uri)
    location = request(sandbox, "spotify", redirect_uri=uri, sandbox_account="alice").headers["location"]
    assert location.startswith(f"{uri}&code=sbx_code_")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_repeated_parameter_is_refused(sandbox, provider) -> None:
    parts = urlsplit(sandbox.authorize_url(provider, SCOPES[provider], sandbox_account="alice"))
    answer = sandbox.request("GET", f"{parts.path}?{parts.query}&redirect_uri=https%3A%2F%2Fevil.example")
    assert answer.status == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("access_type", "prompt", "visits", "given"),
    [
        ("", "", 1, False),
        ("online", "consent", 1, False),
        ("offline", "", 1, True),
        ("offline", "", 2, False),
        ("offline", "consent", 2, True),
        ("offline", "select_account consent", 3, True),
    ],
)
def test_google_gives_a_refresh_token_only_offline_and_when_it_asked(
    sandbox, access_type, prompt, visits, given
) -> None:
    wishes = {"access_type": access_type, "prompt": prompt}
    for _ in range(visits):
        tokens = sandbox.tokens("google", "openid", **{k: v for k, v in wishes.items() if v})
    assert ("refresh_token" in tokens) is given


def test_google_adds_earlier_scopes_where_asked(sandbox) -> None:
    calendar = "https://www.googleapis.com/auth/calendar.readonly"
    sandbox.tokens("google", "openid email")
    assert sandbox.tokens("google", calendar)["scope"] == calendar
    granted = sandbox.tokens("google", calendar, include_granted_scopes="true")["scope"].split()
    assert set(granted) == {calendar, "openid", "https://www.googleapis.com/auth/userinfo.email"}


def test_google_spells_short_scopes_out(sandbox) -> None:
    scopes = sandbox.tokens("google", "openid email profile")["scope"].split()
    prefix = "https://www.googleapis.com/auth/userinfo."
    assert scopes == ["openid", f"{prefix}email", f"{prefix}profile"]


def test_a_person_may_grant_less_than_was_asked(sandbox) -> None:
    url = sandbox.authorize_url("spotify", "user-read-email user-read-private")
    code = parse_qs(urlsplit(sandbox.authorize(url, scopes="user-read-email")).query)["code"][0]
    answer = sandbox.token_request(
        "spotify", grant_type="authorization_code", code=code, redirect_uri=sandbox.redirect_uri
    )
    assert answer.json()["scope"] == "user-read-email"


def test_the_offline_scope_decides_at_the_generic_server(sandbox) -> None:
    assert "refresh_token" not in sandbox.tokens("oidc", "openid")
    assert "refresh_token" in sandbox.tokens("oidc", "openid offline_access")
