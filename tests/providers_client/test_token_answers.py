"""How each answer of a token endpoint is read, and in which words a failure is put (R4.6 to R4.8)."""

import json
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit.outbound import Answer
from keybearer.providers import catalogue, oauth
from keybearer.providers.errors import TokenRequestFailed
from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer, read_answer

PLAIN = Provider(name="acme", title="Acme", auth="oauth2", client_id="c")
QUIRKY = replace(PLAIN, quirks=frozenset({"error_with_200"}))
NOW = 1_800_000_000.0
JSON = "application/json"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def answer(status: int, content: object = None, media_type: str = JSON, **headers: str) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx2.Headers({"content-type": media_type, **names}), body)


def read(given: Answer, provider: Provider = PLAIN) -> TokenAnswer:
    return oauth.read(provider, given, lambda: NOW)


def failure(given: Answer, provider: Provider = PLAIN) -> TokenRequestFailed:
    with pytest.raises(TokenRequestFailed) as failed:
        read(given, provider)
    return failed.value


OK = {"access_token": "tok", "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        (answer(400, {"error": "invalid_grant"}), "invalid_grant", "invalid_grant"),
        (answer(401, {"error": "invalid_grant"}), "invalid_grant", "invalid_grant"),
        (answer(400, {"error": "interaction_required"}), "invalid_grant", "interaction_required"),
        (answer(400, {"error": "consent_required"}), "invalid_grant", "consent_required"),
        (answer(400, b"error=invalid_grant&error_description=x", FORM), "invalid_grant", "invalid_grant"),
        (answer(401, {"error": "invalid_client"}), "invalid_client", "invalid_client"),
        (answer(400, {"error": "unauthorized_client"}), "invalid_client", "unauthorized_client"),
        (answer(400, {"error": "temporarily_unavailable"}), "transient", "temporarily_unavailable"),
        (answer(400, {"error": "slow_down"}), "transient", "slow_down"),
        (answer(400, {"error": "invalid_request"}), "other", "invalid_request"),
        (answer(400, {"error": "invalid_scope"}), "other", "invalid_scope"),
        (answer(400, {"error": "bad_refresh_token"}), "other", "bad_refresh_token"),
        (answer(400, {"error": {"message": "nested"}}), "other", ""),
        (answer(400, {"error": "Invalid Grant: token sbx_1"}), "other", ""),
        (answer(400, {"error": "x" * 65}), "other", ""),
        (answer(400, b"<html>no</html>", "text/html"), "other", ""),
        (answer(400, b""), "other", ""),
        (answer(401, b""), "other", ""),
        (answer(403, b"[]"), "other", ""),
        (answer(404, b"not here"), "other", ""),
        (answer(302, b"", location="https://elsewhere.example.com/"), "other", ""),
        (answer(204, b""), "other", ""),
        (answer(408, b""), "transient", ""),
        (answer(429, {"error": "rate_limited"}), "transient", "rate_limited"),
        (answer(500, {"error": "invalid_grant"}), "transient", "invalid_grant"),
        (answer(502, b"<html>bad gateway</html>", "text/html"), "transient", ""),
        (answer(503, b""), "transient", ""),
        (answer(599, b""), "transient", ""),
        (answer(200, {"error": "invalid_grant"}), "other", ""),
        (answer(200, {}), "other", ""),
        (answer(200, {"token_type": "Bearer"}), "other", ""),
        (answer(200, {"access_token": ""}), "other", ""),
        (answer(200, {"access_token": None}), "other", ""),
        (answer(200, {"access_token": 7}), "other", ""),
        (answer(200, {"access_token": "to\nken"}), "other", ""),
        (answer(200, {"access_token": "to ken"}), "other", ""),
        (answer(200, {"access_token": "tök"}), "other", ""),
        (answer(200, {"access_token": "t" * 16_385}), "other", ""),
        (answer(200, {**OK, "refresh_token": "a\rb"}), "other", ""),
        (answer(200, {**OK, "refresh_token": ["a"]}), "other", ""),
        (answer(200, {**OK, "token_type": "mac"}), "other", ""),
        (answer(200, {**OK, "token_type": "DPoP"}), "other", ""),
        (answer(200, {**OK, "token_type": None}), "other", ""),
        (answer(200, b"[]"), "other", ""),
        (answer(200, b"null"), "other", ""),
        (answer(200, b'"tok"'), "other", ""),
        (answer(200, b"{"), "other", ""),
        (answer(200, b"\xff\xfe\xfa"), "other", ""),
        (answer(200, b"[" * 100_000), "other", ""),
        (answer(200, b'{"access_token": "tok", "expires_in": NaN}'), "other", ""),
        (answer(200, b"access_token=%ff", FORM), "other", ""),
        (answer(200, b"&".join(b"a=b" for _ in range(100)), FORM), "other", ""),
        (answer(200, b"access_token=tok&token_type=bearer", JSON), "other", ""),
    ],
)
def test_failures(given: Answer, kind: str, code: str) -> None:
    failed = failure(given)
    assert (failed.kind, failed.code, failed.status) == (kind, code, given.status)


def test_a_body_that_is_too_long_is_no_answer() -> None:
    assert failure(Answer(200, httpx2.Headers(), None)).kind == "other"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"error": "bad_verification_code"}, "invalid_grant"),
        ({"error": "bad_refresh_token"}, "invalid_grant"),
        ({"ok": False, "error": "invalid_refresh_token"}, "invalid_grant"),
        ({"ok": False, "error": "token_revoked"}, "invalid_grant"),
        ({"error": "incorrect_client_credentials"}, "invalid_client"),
        ({"ok": False, "error": "bad_client_secret"}, "invalid_client"),
        ({"ok": False, "error": "internal_error"}, "transient"),
        ({"error": "redirect_uri_mismatch"}, "other"),
        ({"ok": False}, "other"),
        ({"ok": False, **OK}, "other"),
        ({"error": "invalid_grant", **OK}, "invalid_grant"),
    ],
)
def test_refusals_with_200(content: object, kind: str) -> None:
    assert failure(answer(200, content), QUIRKY).kind == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"error": "unauthorized_client", "error_description": "refresh_token is invalid"}, "invalid_grant"),
        ({"error": "unauthorized_client", "error_description": "grant type not allowed"}, "invalid_client"),
        ({"error": "unauthorized_client"}, "invalid_client"),
        ({"error": "invalid_client", "error_description": "refresh_token"}, "invalid_client"),
        ({"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}, "invalid_grant"),
        ({"error": "access_denied", "error_description": "refresh_token"}, "other"),
    ],
)
def test_a_dead_refresh_token_under_another_word(content: object, kind: str) -> None:
    atlassian = catalogue.load(None)["atlassian"]
    assert failure(answer(403, content), atlassian).kind == kind


def test_the_other_word_means_nothing_without_the_quirk() -> None:
    refusal = answer(403, {"error": "unauthorized_client", "error_description": "refresh_token is invalid"})
    assert failure(refusal).kind == "invalid_client"


def test_with_the_quirk_a_good_answer_is_still_good() -> None:
    assert read(answer(200, {"ok": True, **OK}), QUIRKY).access_token == "tok"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2020 08:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("9" * 400, 86_400.0),
        ("", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert failure(answer(429, {}, retry_after=header)).retry_after == seconds


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600.0),
        (3599.5, 3599.5),
        ("3600", 3600.0),
        ("3600.5", 3600.5),
        (0, 0.0),
        (10**30, 315_360_000.0),
        (10**400, None),
        ("inf", 315_360_000.0),
        ("nan", None),
        ("1e400", 315_360_000.0),
        (-1, None),
        ("soon", None),
        (True, None),
        ([3600], None),
        (None, None),
    ],
)
def test_expires_in(expires_in: object, seconds: float | None) -> None:
    assert read(answer(200, {**OK, "expires_in": expires_in})).expires_in == seconds


def test_an_unsaid_lifetime_is_the_catalogues() -> None:
    assert read(answer(200, OK), replace(PLAIN, assumed_expires_in=900)).expires_in == 900
    assert read(answer(200, {**OK, "expires_in": 60}), replace(PLAIN, assumed_expires_in=900)).expires_in == 60


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("a b", ("a", "b")),
        ("a,b", ("a", "b")),
        (["a", "b"], ("a", "b")),
        ("", ()),
        (None, None),
        (7, None),
        (["a", 7], None),
    ],
)
def test_scopes(scope: object, scopes: tuple[str, ...] | None) -> None:
    assert read(answer(200, {**OK, "scope": scope})).scopes == scopes


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "user", "bot"])
def test_token_types(token_type: str) -> None:
    assert read(answer(200, {**OK, "token_type": token_type})).access_token == "tok"


def test_an_unsaid_token_type_is_bearer() -> None:
    assert read(answer(200, {"access_token": "tok"})).token_type == "Bearer"


def test_reads_a_form() -> None:
    given = answer(200, b"access_token=tok&scope=a%2Cb&token_type=bearer&expires_in=28800&refresh_token=r", FORM)
    assert read(given) == TokenAnswer(
        access_token="tok",
        refresh_token="r",
        expires_in=28_800.0,
        scopes=("a", "b"),
        about={"scope": "a,b", "token_type": "bearer", "expires_in": "28800"},
    )


NESTED = replace(PLAIN, token_path="authed_user")


def test_finds_the_persons_token_one_level_down() -> None:
    given = {"ok": True, "access_token": "bot", "authed_user": {"id": "U1", "access_token": "person", "scope": "a"}}
    found = read(answer(200, given), NESTED)
    assert (found.access_token, found.scopes) == ("person", ("a",))
    assert found.about == {"ok": True, "authed_user": {"id": "U1", "scope": "a"}}


def test_never_takes_the_bots_token_for_the_persons() -> None:
    assert failure(answer(200, {"access_token": "bot", "authed_user": {"id": "U1"}}), NESTED).kind == "other"


def test_a_refresh_may_answer_without_that_level() -> None:
    assert read(answer(200, OK), NESTED).access_token == "tok"


def test_nothing_secret_is_shown() -> None:
    shown = repr(read(answer(200, {"access_token": "sbx_a", "refresh_token": "sbx_r", "id_token": "sbx_i"})))
    assert "sbx_" not in shown


@given(st.binary(max_size=200), st.integers(200, 599), st.sampled_from([JSON, FORM, "text/plain"]))
def test_any_answer_is_tokens_or_a_failure(body: bytes, status: int, media_type: str) -> None:
    try:
        assert read(answer(status, body, media_type), QUIRKY).access_token
    except TokenRequestFailed:
        return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
_MEMBERS = ["access_token", "refresh_token", "expires_in", "scope", "token_type", "id_token", "authed_user"]


@given(st.dictionaries(st.sampled_from(_MEMBERS), _JSON), st.sampled_from([None, "authed_user", "a.b"]))
def test_any_document_is_tokens_or_a_value_error(document: dict[str, object], path: str | None) -> None:
    try:
        found = read_answer(document, token_path=path)
    except ValueError:
        return
    assert found.access_token.isascii()
    assert found.access_token.isprintable()
    assert found.expires_in is None or found.expires_in >= 0
