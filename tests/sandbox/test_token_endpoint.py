"""The token endpoints: codes work once and only for whom they were made, in each provider's own words."""

import base64
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from keybearer_sandbox.oauth import pkce
from keybearer_sandbox.testing import Answer, RunningSandbox

VERIFIER = "a-verifier-of-forty-three-characters-at-least.~_"
SCOPES = {
    "google": "openid",
    "spotify": "user-read-email",
    "github": "repo",
    "oidc": "openid offline_access",
}
PROVIDERS = tuple(SCOPES)
TOKEN_PATHS = {
    "google": "/google/token",
    "spotify": "/spotify/api/token",
    "github": "/github/login/oauth/access_token",
    "oidc": "/oidc/token",
}


def new_code(sandbox: RunningSandbox, provider: str, *, with_challenge: bool = True) -> str:
    proof = {"code_challenge": pkce.challenge_of(VERIFIER), "code_challenge_method": "S256"}
    url = sandbox.authorize_url(provider, SCOPES[provider], access_type="offline", **(proof if with_challenge else {}))
    return parse_qs(urlsplit(sandbox.authorize(url)).query)["code"][0]


def exchange(sandbox: RunningSandbox, provider: str, **changes: str) -> Answer:
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": sandbox.redirect_uri,
        "code_verifier": VERIFIER,
        **changes,
    }
    return sandbox.token_request(provider, **form)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_code_buys_tokens_that_work(sandbox, provider) -> None:
    answer = exchange(sandbox, provider, code=new_code(sandbox, provider))
    tokens = answer.json()
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert tokens["access_token"].startswith("sbx_at_")
    assert tokens["token_type"].lower() == "bearer"
    assert ("refresh_token" in tokens) is (provider != "github")
    assert tokens.get("expires_in") == (None if provider == "github" else 3600)


@pytest.mark.parametrize(
    ("provider", "changes", "status", "error", "description"),
    [
        ("google", {"code": "nonsense"}, 400, "invalid_grant", "Malformed auth code."),
        ("google", {"code_verifier": "x" * 43}, 400, "invalid_grant", "Invalid code verifier."),
        ("google", {"code_verifier": ""}, 400, "invalid_grant", "Missing code verifier."),
        ("google", {"redirect_uri": "http://localhost/other"}, 400, "redirect_uri_mismatch", "Bad Request"),
        ("google", {"client_secret": "wrong"}, 401, "invalid_client", "Unauthorized"),
        ("google", {"client_id": "wrong"}, 401, "invalid_client", "The OAuth client was not found."),
        ("google", {"grant_type": "magic"}, 400, "unsupported_grant_type", "Invalid grant_type: magic"),
        ("google", {"code": ""}, 400, "invalid_request", "Missing required parameter: code"),
        ("spotify", {"code": "nonsense"}, 400, "invalid_grant", "Invalid authorization code"),
        ("spotify", {"code_verifier": "x" * 43}, 400, "invalid_grant", "code_verifier was incorrect"),
        ("spotify", {"code_verifier": "too short"}, 400, "invalid_grant", "code_verifier was incorrect"),
        ("spotify", {"redirect_uri": "http://localhost/other"}, 400, "invalid_grant", "Invalid redirect URI"),
        ("spotify", {"redirect_uri": ""}, 400, "invalid_request", "redirect_uri must be supplied"),
        ("spotify", {"client_secret": "wrong"}, 400, "invalid_client", "Invalid client secret"),
        ("spotify", {"client_id": "wrong"}, 400, "invalid_client", "Invalid client"),
        ("spotify", {"grant_type": "client_credentials"}, 400, "unsupported_grant_type", None),
        ("spotify", {"grant_type": ""}, 400, "invalid_request", "grant_type must be supplied"),
        ("github", {"code": "nonsense"}, 200, "bad_verification_code", "The code passed is incorrect or expired."),
        ("github", {"code_verifier": "x" * 43}, 200, "bad_verification_code", None),
        ("github", {"client_secret": "wrong"}, 200, "incorrect_client_credentials", None),
        ("github", {"redirect_uri": "http://localhost/other"}, 200, "redirect_uri_mismatch", None),
        ("github", {"client_id": "wrong"}, 404, "not_found", "Not Found"),
        ("oidc", {"code": "nonsense"}, 400, "invalid_grant", None),
        ("oidc", {"code_verifier": "x" * 43}, 400, "invalid_grant", None),
        ("oidc", {"client_secret": "wrong"}, 401, "invalid_client", None),
        ("oidc", {"grant_type": "password"}, 400, "unsupported_grant_type", None),
    ],
)
def test_each_provider_refuses_in_its_own_words(sandbox, provider, changes, status, error, description) -> None:
    answer = exchange(sandbox, provider, **{"code": new_code(sandbox, provider), **changes})
    assert (answer.status, answer.json()["error"]) == (status, error)
    if description is not None:
        assert answer.json()["error_description"] == description


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_code_used_twice_ends_what_it_bought(sandbox, provider) -> None:
    code = new_code(sandbox, provider)
    tokens = exchange(sandbox, provider, code=code).json()
    echo = {"google": "/google/v1", "spotify": "/spotify/v1", "github": "/github", "oidc": "/oidc/api"}
    path = f"{echo[provider]}/echo"
    assert sandbox.api("GET", path, tokens["access_token"]).status == 200
    assert "error" in exchange(sandbox, provider, code=code).json()
    assert sandbox.api("GET", path, tokens["access_token"]).status == 401
    if "refresh_token" in tokens:
        assert "error" in sandbox.refresh(provider, tokens["refresh_token"]).json()


def test_a_code_belongs_to_one_provider(sandbox) -> None:
    answer = exchange(sandbox, "spotify", code=new_code(sandbox, "oidc"))
    assert answer.json()["error"] == "invalid_grant"


def test_a_verifier_without_a_challenge_is_refused(sandbox) -> None:
    """A client that thinks it proves possession must learn when its challenge was lost on the way."""
    code = new_code(sandbox, "oidc", with_challenge=False)
    assert exchange(sandbox, "oidc", code=code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_client_may_authenticate_with_basic(sandbox, provider) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": new_code(sandbox, provider),
        "redirect_uri": sandbox.redirect_uri,
        "code_verifier": VERIFIER,
    }
    credentials = base64.b64encode(f"sandbox-{provider}:sbx_secret_{provider}".encode()).decode()
    answer = post(sandbox, provider, form, {"Authorization": f"Basic {credentials}"})
    assert "access_token" in answer.json()


@pytest.mark.parametrize(
    "credentials",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
    ],
)
def test_broken_basic_credentials_are_refused(sandbox, credentials) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert post(sandbox, "oidc", form, {"Authorization": credentials}).json()["error"] == "invalid_client"


def test_two_client_authentications_are_refused(sandbox) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_secret": "sbx_secret_oidc"}
    credentials = base64.b64encode(b"sandbox-oidc:sbx_secret_oidc").decode()
    answer = post(sandbox, "oidc", form, {"Authorization": f"Basic {credentials}"})
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def test_a_client_without_a_secret_needs_a_proof_and_gets_rotated_tokens_from_spotify(sandbox) -> None:
    code = new_code(sandbox, "spotify")
    tokens = exchange(sandbox, "spotify", code=code, client_secret="").json()
    again = sandbox.token_request(
        "spotify", grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_secret=""
    ).json()
    assert again["refresh_token"] != tokens["refresh_token"]
    bare = new_code(sandbox, "spotify", with_challenge=False)
    refused = exchange(sandbox, "spotify", code=bare, client_secret="", code_verifier="")
    assert refused.json()["error"] == "invalid_client"


def test_a_refresh_token_of_a_client_with_a_secret_needs_the_secret(sandbox) -> None:
    tokens = sandbox.tokens("spotify")
    answer = sandbox.token_request(
        "spotify", grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_secret=""
    )
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("provider", "scope", "parameters"),
    [("google", "openid", {"access_type": "offline"}), ("spotify", "", {}), ("oidc", "openid offline_access", {})],
)
def test_refresh_gives_a_new_access_token_and_keeps_the_refresh_token(sandbox, provider, scope, parameters) -> None:
    tokens = sandbox.tokens(provider, scope, **parameters)
    for _ in range(2):
        fresh = sandbox.refresh(provider, tokens["refresh_token"]).json()
        assert fresh["access_token"] != tokens["access_token"]
        assert "refresh_token" not in fresh
        assert fresh["scope"] == tokens["scope"]


@pytest.mark.parametrize(
    ("provider", "words"),
    [("google", "Bad Request"), ("spotify", "Invalid refresh token"), ("oidc", "The refresh token is not known.")],
)
def test_an_unknown_refresh_token_is_refused(sandbox, provider, words) -> None:
    answer = sandbox.refresh(provider, "sbx_rt_never_issued")
    assert answer.status == 400
    assert answer.json() == {"error": "invalid_grant", "error_description": words}


def test_refresh_may_narrow_scopes_but_not_widen_them(sandbox) -> None:
    tokens = sandbox.tokens("oidc", "openid email offline_access")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert sandbox.token_request("oidc", **form, scope="email").json()["scope"] == "email"
    assert sandbox.token_request("oidc", **form, scope="email profile").json()["error"] == "invalid_scope"


def test_github_answers_a_form_unless_json_is_wanted(sandbox) -> None:
    form = {
        "client_id": "sandbox-github",
        "client_secret": "sbx_secret_github",
        "code": new_code(sandbox, "github"),
        "code_verifier": VERIFIER,
    }
    answer = post(sandbox, "github", form, {"Accept": "*/*"})
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert dict(parse_qsl(answer.body.decode()))["token_type"] == "bearer"
    refused = post(sandbox, "github", form, {"Accept": "*/*"})
    assert refused.status == 200
    assert dict(parse_qsl(refused.body.decode()))["error"] == "bad_verification_code"


def test_github_separates_scopes_by_commas_and_drops_implied_ones(sandbox) -> None:
    assert sandbox.tokens("github", "repo,user:email user public_repo")["scope"] == "repo,user"


def test_github_with_expiring_tokens_rotates_refresh_tokens(sandbox) -> None:
    sandbox.control("github", expires_in=28_800)
    tokens = sandbox.tokens("github", "repo")
    assert (tokens["expires_in"], tokens["refresh_token_expires_in"]) == (28_800, 15_897_600)
    fresh = sandbox.refresh("github", tokens["refresh_token"]).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert sandbox.refresh("github", tokens["refresh_token"]).json()["error"] == "bad_refresh_token"
    assert "access_token" in sandbox.refresh("github", fresh["refresh_token"]).json()


def test_client_credentials_at_the_generic_server(sandbox) -> None:
    answer = sandbox.token_request("oidc", grant_type="client_credentials", scope="api:read")
    tokens = answer.json()
    assert tokens["scope"] == "api:read"
    assert "refresh_token" not in tokens
    assert "id_token" not in tokens
    assert sandbox.api("GET", "/oidc/api/echo", tokens["access_token"]).status == 200
    bare = sandbox.token_request("oidc", grant_type="client_credentials", client_secret="")
    assert bare.status == 401


@pytest.mark.parametrize(
    ("path", "how"),
    [("/google/revoke", "form"), ("/google/revoke", "query")],
)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_google_revocation_ends_the_whole_consent(sandbox, path, how, kind) -> None:
    tokens = sandbox.tokens("google", "openid", access_type="offline")
    query, body = (f"?{urlencode({'token': tokens[kind]})}", b"")
    if how == "form":
        query, body = "", urlencode({"token": tokens[kind]}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sandbox.request("POST", path + query, body, headers).status == 200
    assert sandbox.api("GET", "/google/v1/userinfo", tokens["access_token"]).status == 401
    refused = sandbox.refresh("google", tokens["refresh_token"]).json()
    assert refused["error_description"] == "Token has been expired or revoked."
    assert sandbox.request("POST", path + query, body, headers).json()["error"] == "invalid_token"
    assert "refresh_token" in sandbox.tokens("google", "openid", access_type="offline")


def test_generic_revocation_follows_its_rfc(sandbox) -> None:
    tokens = sandbox.tokens("oidc", "openid offline_access")
    client = {"client_id": "sandbox-oidc", "client_secret": "sbx_secret_oidc"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def revoke(**form: str) -> Answer:
        return sandbox.request("POST", "/oidc/revoke", urlencode(form).encode(), headers)

    assert revoke(token="unknown", **client).status == 200
    assert revoke(**client).status == 400
    assert revoke(token=tokens["refresh_token"], client_id="x").status == 401
    assert revoke(token=tokens["access_token"], **client).status == 200
    assert sandbox.api("GET", "/oidc/userinfo", tokens["access_token"]).status == 401
    fresh = sandbox.refresh("oidc", tokens["refresh_token"]).json()
    assert revoke(token=tokens["refresh_token"], **client).status == 200
    assert sandbox.api("GET", "/oidc/userinfo", fresh["access_token"]).status == 401
    assert sandbox.refresh("oidc", tokens["refresh_token"]).status == 400


def post(sandbox: RunningSandbox, provider: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers}
    return sandbox.request("POST", TOKEN_PATHS[provider], urlencode(form).encode(), headers)
