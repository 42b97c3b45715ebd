"""Every check of an id_token, each with a token that fails that one alone."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwk, jws, jwt
from keybearer.providers.discovery import Discovery
from keybearer.providers.errors import IdentityInvalid
from keybearer.providers.id_token import IdTokens
from keybearer.providers.model import Provider

KEYS = {
    "RS256": jwk.generate_key("RSA", 2048, {"kid": "rs"}),
    "PS256": jwk.generate_key("RSA", 2048, {"kid": "ps", "alg": "PS256"}),
    "ES256": jwk.generate_key("EC", "P-256", {"kid": "es"}),
    "EdDSA": jwk.generate_key("OKP", "Ed25519", {"kid": "ed"}),
}
OTHER = jwk.generate_key("RSA", 2048, {"kid": "rs"})
ENCRYPTING = jwk.generate_key("RSA", 2048, {"kid": "enc", "use": "enc"})
P384 = jwk.generate_key("EC", "P-384", {"kid": "p384"})
TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
ALL_ALGORITHMS = [*KEYS, "HS256", "none", "RS384", "ES384"]


@pytest.fixture
def openid(fake) -> Provider:
    discovery = f"{fake.url}/.well-known/openid-configuration"
    return Provider(
        name="acme", title="Acme", auth="oauth2", issuer=fake.url, discovery=discovery, client_id="our-client"
    )


def publish(fake, issuer: str | None = None, algorithms: list[str] | None = None, *keys: jwk.Key) -> None:
    published = keys or (*KEYS.values(), ENCRYPTING, P384)
    fake.says("/jwks", {"keys": [key.as_dict(private=False) for key in published]})
    document = {"issuer": issuer or fake.url, "jwks_uri": f"{fake.url}/jwks"}
    if algorithms is not None:
        document["id_token_signing_alg_values_supported"] = algorithms
    fake.says("/.well-known/openid-configuration", document)


@pytest.fixture
def id_tokens(fake, outbound, clock) -> IdTokens:
    publish(fake, None, ALL_ALGORITHMS)
    return IdTokens(Discovery(outbound(fake.authority), monotonic=clock), clock=clock)


def claims(fake, clock, **changes: Any) -> dict[str, Any]:
    given = {
        "iss": fake.url,
        "sub": "248289761001",
        "aud": "our-client",
        "iat": int(clock()),
        "exp": int(clock()) + 3600,
        "nonce": "n-1",
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def signed(content: dict[str, Any], algorithm: str = "RS256", key: Any = None, **header: Any) -> str:
    key = key or KEYS[algorithm]
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    names = {"alg": algorithm, "kid": getattr(key, "kid", None), **header}
    names = {name: value for name, value in names.items() if value is not None}
    return jws.serialize_compact(names, json.dumps(content).encode(), bare(key), registry=registry)


def bare(key: jwk.Key) -> jwk.Key:
    """Without what would keep a well-behaved signer from using it wrongly."""
    members = key.as_dict(private=True)
    if not members.keys() & {"use", "alg"}:
        return key
    return jwk.import_key({name: value for name, value in members.items() if name not in {"use", "alg"}})


async def refusal(id_tokens: IdTokens, provider: Provider, token: str, **given: Any) -> str:
    with pytest.raises(IdentityInvalid) as refused:
        await id_tokens.claims(provider, token, **{"nonce": "n-1", **given})
    assert refused.value.code == "id_token_invalid"
    assert len(token) < 10 or token not in repr(refused.value)
    assert refused.value.__cause__ is None
    return refused.value.reason


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # EdDSA's older name, signed with here
@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_good_token(fake, openid, id_tokens, clock, algorithm: str) -> None:
    token = signed(claims(fake, clock), algorithm)
    assert (await id_tokens.claims(openid, token, nonce="n-1"))["sub"] == "248289761001"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example.com"}, "bad_iss"),
        ({"iss": None}, "bad_iss"),
        ({"iss": ["x"]}, "bad_iss"),
        ({"aud": "another-client"}, "bad_aud"),
        ({"aud": ["another-client"]}, "bad_aud"),
        ({"aud": None}, "bad_aud"),
        ({"aud": {"our-client": 1}}, "bad_aud"),
        ({"aud": ["our-client", "another"]}, "bad_azp"),
        ({"aud": ["our-client", "another"], "azp": "another"}, "bad_azp"),
        ({"azp": "another"}, "bad_azp"),
        ({"exp": None}, "bad_exp"),
        ({"exp": "tomorrow"}, "bad_exp"),
        ({"exp": True}, "bad_exp"),
        ({"iat": None}, "bad_iat"),
        ({"iat": 1_800_000_061}, "bad_iat"),
        ({"exp": 1_799_999_940}, "bad_exp"),
        ({"nbf": 1_800_000_061}, "bad_nbf"),
        ({"nonce": "another"}, "bad_nonce"),
        ({"nonce": None}, "bad_nonce"),
        ({"nonce": ["n-1"]}, "bad_nonce"),
        ({"nonce": "\ud800"}, "bad_nonce"),
        ({"sub": None}, "bad_sub"),
        ({"sub": ""}, "bad_sub"),
        ({"sub": 7}, "bad_sub"),
        ({"sub": "s" * 256}, "bad_sub"),
        ({"at_hash": "AAAA"}, "bad_at_hash"),
        ({"at_hash": 7}, "bad_at_hash"),
    ],
)
async def test_a_wrong_claim(fake, openid, id_tokens, clock, changes, reason: str) -> None:
    token = signed(claims(fake, clock, **changes))
    assert await refusal(id_tokens, openid, token, access_token="tok") == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["our-client"]},
        {"aud": ["our-client", "another"], "azp": "our-client"},
        {"azp": "our-client"},
        {"exp": 1_799_999_941},
        {"iat": 1_800_000_060, "nbf": 1_800_000_060},
        {"at_hash": base64.urlsafe_b64encode(hashlib.sha256(b"tok").digest()[:16]).rstrip(b"=").decode()},
    ],
)
async def test_a_claim_that_is_just_right(fake, openid, id_tokens, clock, changes) -> None:
    assert await id_tokens.claims(openid, signed(claims(fake, clock, **changes)), access_token="tok", nonce="n-1")


async def test_a_refreshed_token_answers_no_sign_in(fake, openid, id_tokens, clock) -> None:
    assert await id_tokens.claims(openid, signed(claims(fake, clock, nonce=None)), nonce=None)


def unsigned(content: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(content).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_none_is_refused(fake, openid, id_tokens, clock) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        token = unsigned(claims(fake, clock), {"alg": algorithm, "kid": "rs"})
        assert await refusal(id_tokens, openid, token) == "algorithm_refused"


async def test_a_public_key_used_as_a_shared_secret_is_refused(fake, openid, id_tokens, clock) -> None:
    key = jwk.OctKey.import_key(json.dumps(KEYS["RS256"].as_dict(private=False)), {"kid": "rs"})
    token = signed(claims(fake, clock), "HS256", key)
    assert await refusal(id_tokens, openid, token) == "algorithm_refused"


async def test_an_algorithm_that_discovery_does_not_name(fake, openid, outbound, clock) -> None:
    publish(fake, None, ["RS256"])
    id_tokens = IdTokens(Discovery(outbound(fake.authority), monotonic=clock), clock=clock)
    assert await refusal(id_tokens, openid, signed(claims(fake, clock), "ES256")) == "algorithm_refused"
    assert await id_tokens.claims(openid, signed(claims(fake, clock)), nonce="n-1")


@pytest.mark.parametrize(
    ("algorithm", "key", "kid", "reason"),
    [
        ("RS256", OTHER, "rs", "bad_signature"),
        ("RS256", KEYS["PS256"], "ps", "unknown_key"),
        ("RS256", ENCRYPTING, "enc", "unknown_key"),
        ("RS256", KEYS["RS256"], "unheard-of", "unknown_key"),
        ("RS256", KEYS["RS256"], "es", "unknown_key"),
        ("RS256", KEYS["RS256"], "", "unknown_key"),
        ("RS384", KEYS["RS256"], "rs", "algorithm_refused"),
        ("ES384", P384, "p384", "algorithm_refused"),
    ],
)
async def test_another_key(fake, openid, id_tokens, clock, algorithm, key, kid, reason) -> None:
    token = signed(claims(fake, clock), algorithm, key, kid=kid)
    assert await refusal(id_tokens, openid, token) == reason


async def test_without_a_key_id_the_one_key_that_suits(fake, openid, id_tokens, clock) -> None:
    token = jwt.encode({"alg": "ES256"}, claims(fake, clock), KEYS["ES256"], algorithms=["ES256"])
    assert await id_tokens.claims(openid, token, nonce="n-1")


async def test_without_a_key_id_two_keys_that_suit_are_one_too_many(fake, openid, id_tokens, clock) -> None:
    publish(fake, None, ALL_ALGORITHMS, KEYS["RS256"], jwk.generate_key("RSA", 2048, {"kid": "rs2"}))
    token = jwt.encode({"alg": "RS256"}, claims(fake, clock), KEYS["RS256"], algorithms=["RS256"])
    assert await refusal(id_tokens, openid, token) == "unknown_key"


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # the weak key is made on purpose
async def test_a_short_rsa_key_is_no_key(fake, openid, id_tokens, clock) -> None:
    weak = jwk.generate_key("RSA", 1024, {"kid": "weak"})
    publish(fake, None, ALL_ALGORITHMS, weak)
    assert await refusal(id_tokens, openid, signed(claims(fake, clock), "RS256", weak)) == "unknown_key"


async def test_a_rotated_key_is_found(fake, openid, id_tokens, clock) -> None:
    await id_tokens.claims(openid, signed(claims(fake, clock)), nonce="n-1")
    new = jwk.generate_key("RSA", 2048, {"kid": "new"})
    publish(fake, None, ALL_ALGORITHMS, new)
    assert await id_tokens.claims(openid, signed(claims(fake, clock), "RS256", new), nonce="n-1")
    assert fake.count("/jwks") == 2


async def test_a_key_set_with_rubbish_in_it(fake, openid, id_tokens, clock) -> None:
    good = KEYS["RS256"].as_dict(private=False)
    rubbish = [7, None, {}, {"kty": 1}, {"kty": "RSA", "kid": ["rs"]}, {"kty": "AKP", "kid": "pq"}]
    fake.says("/jwks", {"keys": [*rubbish, good]})
    assert await id_tokens.claims(openid, signed(claims(fake, clock)), nonce="n-1")
    fake.says("/jwks", {"keys": [{**good, "kid": "bad", "n": "!" * 400}]})
    assert await refusal(id_tokens, openid, signed(claims(fake, clock), kid="bad")) == "unknown_key"


async def test_a_changed_payload(fake, openid, id_tokens, clock) -> None:
    header, _, signature = signed(claims(fake, clock)).split(".")
    changed = unsigned(claims(fake, clock, sub="another"), {}).split(".")[1]
    assert await refusal(id_tokens, openid, f"{header}.{changed}.{signature}") == "bad_signature"


async def test_unknown_headers_are_ignored_unless_critical(fake, openid, id_tokens, clock) -> None:
    assert await id_tokens.claims(openid, signed(claims(fake, clock), colour="blue"), nonce="n-1")
    token = unsigned(claims(fake, clock), {"alg": "RS256", "kid": "rs", "crit": ["colour"], "colour": "blue"})
    assert await refusal(id_tokens, openid, token) in {"bad_signature", "malformed"}


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "a.b.c.d.e", "é.é.é", "e30.e30.", "W10.e30.x", "e30." + "x" * 70_000 + ".x"]
)
async def test_what_is_no_token(openid, id_tokens, token: str) -> None:
    assert await refusal(id_tokens, openid, token) in {"malformed", "too_long", "algorithm_refused"}


async def test_a_payload_that_is_no_object(openid, id_tokens) -> None:
    registry = jws.JWSRegistry(algorithms=["RS256"])
    token = jws.serialize_compact({"alg": "RS256", "kid": "rs"}, b"[1]", KEYS["RS256"], registry=registry)
    assert await refusal(id_tokens, openid, token) == "bad_signature"


@pytest.mark.parametrize(
    ("tid", "iss_tid", "reason"),
    [
        (TENANT, TENANT, None),
        (TENANT, "11111111-2222-3333-4444-555555555555", "bad_iss"),
        (None, TENANT, "bad_tid"),
        ("common", "common", "bad_tid"),
        ("../x", "../x", "bad_tid"),
        (7, "7", "bad_tid"),
    ],
)
async def test_the_issuer_of_the_tokens_own_tenant(fake, openid, outbound, clock, tid, iss_tid, reason) -> None:
    many = replace(openid, issuer=f"{fake.url}/common/v2.0", quirks=frozenset({"issuer_by_tid"}))
    publish(fake, fake.url + "/{tenantid}/v2.0", ALL_ALGORITHMS)
    id_tokens = IdTokens(Discovery(outbound(fake.authority), monotonic=clock), clock=clock)
    token = signed(claims(fake, clock, iss=f"{fake.url}/{iss_tid}/v2.0", tid=tid))
    if reason is None:
        assert (await id_tokens.claims(many, token, nonce="n-1"))["tid"] == TENANT
    else:
        assert await refusal(id_tokens, many, token) == reason
