"""The client: what it sends, and which error each refusal becomes."""

import json
from uuid import uuid4

import httpx2
import keybearer_agent
import pytest
from keybearer_agent import Keybearer, NotConfigured, errors, reason

GRANT = "kbg_" + "a" * 49


def refusal(status: int, code: str, headers: dict[str, str] | None = None, **problem: object) -> httpx2.Response:
    return httpx2.Response(
        status,
        headers={"Keybearer-Error": code, "Content-Type": "application/problem+json", **(headers or {})},
        content=json.dumps({"code": code, "detail": "A sentence.", **problem}),
        request=httpx2.Request("GET", "https://kb.example/api/proxy/spotify/v1/me"),
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "grant_ended", keybearer_agent.GrantEnded),
        (401, "grant_missing", keybearer_agent.GrantEnded),
        (403, "not_allowed", keybearer_agent.NotAllowed),
        (403, "address_refused", keybearer_agent.NotAllowed),
        (403, "approval_needed", keybearer_agent.ApprovalNeeded),
        (409, "needs_reconnect", keybearer_agent.NeedsReconnect),
        (409, "connection_revoked", keybearer_agent.NeedsReconnect),
        (502, "provider_timeout", keybearer_agent.OutcomeUnknown),
        (502, "provider_connection_lost", keybearer_agent.OutcomeUnknown),
        (503, "provider_unavailable", keybearer_agent.TemporarilyUnavailable),
        (503, "refresh_in_progress", keybearer_agent.TemporarilyUnavailable),
        (429, "too_many", keybearer_agent.TemporarilyUnavailable),
        (400, "path_refused", keybearer_agent.KeybearerError),
        (409, "connection_ambiguous", keybearer_agent.KeybearerError),
        (418, "of_a_later_version", keybearer_agent.KeybearerError),
    ],
)
def test_each_refusal_has_its_error(status, code, kind):
    error = errors.of(refusal(status, code, request_id="r1"))
    assert type(error) is kind
    assert (error.code, error.detail, error.status, error.request_id) == (code, "A sentence.", status, "r1")


def test_a_reconnection_says_where():
    error = errors.of(refusal(409, "needs_reconnect", provider="spotify", reconnect_path="/connections/7"))
    assert isinstance(error, keybearer_agent.NeedsReconnect)
    assert (error.reconnect_url, error.provider) == ("https://kb.example/connections/7", "spotify")


def test_a_waiting_time_is_a_number():
    error = errors.of(refusal(503, "provider_unavailable", {"Retry-After": "7"}))
    assert isinstance(error, keybearer_agent.TemporarilyUnavailable)
    assert error.retry_after == 7.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"detail": 3}'])
def test_a_refusal_with_a_broken_body_is_still_a_refusal(body):
    response = httpx2.Response(503, headers={"Keybearer-Error": "x"}, content=body, request=refusal(503, "x").request)
    assert errors.of(response).detail == "Keybearer refused this call."


def test_nothing_shows_the_grant():
    assert GRANT not in repr(Keybearer("https://kb.example", GRANT))


@pytest.mark.parametrize("given", [{}, {"KEYBEARER_URL": "https://kb.example"}, {"KEYBEARER_GRANT": GRANT}])
def test_a_program_without_a_grant_is_told_what_is_missing(given):
    with pytest.raises(NotConfigured) as raised:
        Keybearer.from_environment(given)
    missing = {"KEYBEARER_URL", "KEYBEARER_GRANT"} - given.keys()
    assert all(name in raised.value.detail for name in missing)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Alice asked", b"Alice asked"),
        ("two\r\nlines:  x", b"two lines: x"),
        ("für Elise", "für Elise".encode()),
        ("a\x00b\x1b[1m", b"ab[1m"),
        ("x" * 900, b"x" * 500),
    ],
)
def test_a_reason_is_one_line_that_a_header_can_carry(text, sent):
    assert reason(text) == {b"Keybearer-Reason": sent}


async def test_calls_go_through_the_proxy_and_say_why(connected):
    _, grant = await connected.grant("spotify")
    async with Keybearer(connected.url, grant).async_provider("spotify", reason="To see what arrives") as spotify:
        echo = await spotify.get("/v1/echo", params={"a": "b"})
        assert (echo.json()["path"], echo.json()["query"]) == ("/spotify/v1/echo", "a=b")
        missing = await spotify.get("/v1/nothing")
        assert missing.status_code == 404, "the provider's own errors are left alone"
        with pytest.raises(keybearer_agent.NotAllowed):
            await spotify.get("/v1/me", headers={"Keybearer-Connection": str(uuid4())})


async def test_the_grant_is_sent_to_nobody_else(connected, sandbox):
    """Neither an absolute address nor a redirect that the author chose to follow takes it along."""
    _, grant = await connected.grant("spotify")
    elsewhere = f"{sandbox.url}/spotify/v1/me"
    async with Keybearer(connected.url, grant).async_provider("spotify") as spotify:
        direct = await spotify.get(elsewhere)
        followed = await spotify.get("/v1/redirect", params={"to": elsewhere}, follow_redirects=True)
    for answer in (direct, followed):
        assert "authorization" not in answer.request.headers
        assert answer.json()["error"]["message"] == "No token provided"
