"""The id_tokens: what a verifying client sees, whole and spoiled."""

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from keybearer_sandbox.testing import RunningSandbox

JWKS = {"google": "/google/oauth2/v3/certs", "oidc": "/oidc/jwks"}
USERINFO = {"google": "/google/v1/userinfo", "oidc": "/oidc/userinfo"}
SCOPE = "openid email profile"


def decode(sandbox: RunningSandbox, provider: str, id_token: str) -> jwt.Token:
    keys = KeySet.import_key_set(sandbox.request("GET", JWKS[provider]).json())
    return jwt.decode(id_token, keys, algorithms=["RS256"])


@pytest.mark.parametrize("provider", JWKS)
def test_discovery_leads_to_everything(sandbox, provider) -> None:
    document = sandbox.request("GET", f"/{provider}/.well-known/openid-configuration").json()
    assert document["issuer"] == f"{sandbox.url}/{provider}"
    assert document["code_challenge_methods_supported"] == ["S256"]
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint"):
        assert document[name].startswith(document["issuer"])
        assert sandbox.request("GET", document[name].removeprefix(sandbox.url)).status != 404


@pytest.mark.parametrize("provider", JWKS)
def test_the_published_keys_hold_nothing_private(sandbox, provider) -> None:
    for key in sandbox.request("GET", JWKS[provider]).json()["keys"]:
        assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


@pytest.mark.parametrize("provider", JWKS)
def test_an_id_token_says_who_and_for_whom(sandbox, provider) -> None:
    tokens = sandbox.tokens(provider, SCOPE, nonce="n-1")
    token = decode(sandbox, provider, tokens["id_token"])
    claims = token.claims
    assert (claims["iss"], claims["aud"]) == (f"{sandbox.url}/{provider}", f"sandbox-{provider}")
    assert (claims["nonce"], claims["email"], claims["email_verified"]) == ("n-1", "alice@example.com", True)
    assert claims["exp"] - claims["iat"] == 3600
    person = sandbox.api("GET", USERINFO[provider], tokens["access_token"]).json()
    assert person.items() <= claims.items()


def test_one_person_has_another_subject_at_each_provider(sandbox) -> None:
    subjects = {p: decode(sandbox, p, sandbox.tokens(p, SCOPE)["id_token"]).claims["sub"] for p in JWKS}
    people = {p: sandbox.tokens(p, SCOPE, "bob@example.com") for p in JWKS}
    others = {p: decode(sandbox, p, t["id_token"]).claims["sub"] for p, t in people.items()}
    assert len({*subjects.values(), *others.values()}) == 4
    again = decode(sandbox, "google", sandbox.tokens("google", SCOPE)["id_token"])
    assert again.claims["sub"] == subjects["google"]


@pytest.mark.parametrize("provider", JWKS)
def test_scopes_decide_on_claims(sandbox, provider) -> None:
    claims = decode(sandbox, provider, sandbox.tokens(provider, "openid")["id_token"]).claims
    assert not {"email", "name", "nonce"} & claims.keys()
    assert "id_token" not in sandbox.tokens(provider, "email")


@pytest.mark.parametrize("provider", JWKS)
def test_a_refreshed_id_token_has_no_nonce(sandbox, provider) -> None:
    scope = SCOPE if provider == "google" else f"{SCOPE} offline_access"
    tokens = sandbox.tokens(provider, scope, nonce="n-1", access_type="offline")
    fresh = sandbox.refresh(provider, tokens["refresh_token"]).json()
    assert "nonce" not in decode(sandbox, provider, fresh["id_token"]).claims


@pytest.mark.parametrize("provider", JWKS)
def test_a_bad_signature_is_one_under_a_published_key_id(sandbox, provider) -> None:
    sandbox.control(provider, "bad_signature")
    spoiled = sandbox.tokens(provider, SCOPE)["id_token"]
    with pytest.raises(BadSignatureError):
        decode(sandbox, provider, spoiled)
    decode(sandbox, provider, sandbox.tokens(provider, SCOPE)["id_token"])


@pytest.mark.parametrize("provider", JWKS)
@pytest.mark.parametrize(("fault", "claim"), [("wrong_nonce", "nonce"), ("wrong_issuer", "iss")])
def test_a_wrong_claim_is_wrong_for_the_times_asked(sandbox, provider, fault, claim) -> None:
    right = {"nonce": "n-1", "iss": f"{sandbox.url}/{provider}"}[claim]
    sandbox.control(provider, fault, times=2)
    seen = [
        decode(sandbox, provider, sandbox.tokens(provider, SCOPE, nonce="n-1")["id_token"]).claims[claim]
        for _ in range(3)
    ]
    assert seen[0] != right
    assert seen[1] != right
    assert seen[2] == right


@pytest.mark.parametrize("provider", JWKS)
def test_the_time_of_signing_in_is_said_where_it_was_asked_for(sandbox, provider) -> None:
    def claims(**asked: str) -> dict[str, object]:
        return decode(sandbox, provider, sandbox.tokens(provider, SCOPE, **asked)["id_token"]).claims

    assert "auth_time" not in claims()
    fresh = claims(max_age="0")
    assert 0 <= fresh["iat"] - fresh["auth_time"] <= 5
    sandbox.control(provider, "old_auth_time")
    assert claims(max_age="0")["auth_time"] <= fresh["auth_time"] - 80_000


def test_a_new_signing_key_leaves_the_earlier_one_published(sandbox) -> None:
    before = sandbox.tokens("google", SCOPE)["id_token"]
    sandbox.control("google", "rotate_signing_key")
    after = sandbox.tokens("google", SCOPE)["id_token"]
    old, new = decode(sandbox, "google", before), decode(sandbox, "google", after)
    assert old.header["kid"] != new.header["kid"]


@pytest.mark.parametrize("provider", JWKS)
@pytest.mark.parametrize(
    ("settings", "down"),
    [({}, ("discovery", "jwks")), ({"operation": "jwks"}, ("jwks",)), ({"operation": "discovery"}, ("discovery",))],
)
def test_the_documents_can_be_down(sandbox, provider, settings, down) -> None:
    paths = {"discovery": f"/{provider}/.well-known/openid-configuration", "jwks": JWKS[provider]}
    sandbox.control(provider, "discovery_unavailable", **settings)
    for name, path in paths.items():
        assert sandbox.request("GET", path).status == (503 if name in down else 200)
    sandbox.control(provider, "none")
    assert {sandbox.request("GET", path).status for path in paths.values()} == {200}
