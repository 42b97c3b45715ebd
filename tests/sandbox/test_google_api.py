"""The fake Google's reads of the person, Gmail and Calendar."""

import base64

import pytest

URL = "https://www.googleapis.com/auth/"
GMAIL = f"{URL}gmail.readonly"
CALENDAR = f"{URL}calendar.readonly"


@pytest.mark.parametrize("path", ["/google/v1/userinfo", "/google/oauth2/v3/userinfo"])
def test_userinfo(sandbox, path) -> None:
    token = sandbox.tokens("google", "openid email")["access_token"]
    person = sandbox.api("GET", path, token).json()
    assert person.keys() == {"sub", "email", "email_verified"}
    assert len(person["sub"]) == 21


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        (GMAIL, "/google/gmail/v1/users/me/messages", 200),
        (GMAIL, "/google/gmail/v1/users/alice@example.com/messages", 200),
        (GMAIL, "/google/gmail/v1/users/bob@example.com/messages", 404),
        (GMAIL, "/google/gmail/v1/users/me/messages/none", 404),
        (GMAIL, "/google/gmail/v1/users/me/messages?maxResults=0", 400),
        (GMAIL, "/google/gmail/v1/users/me/messages?pageToken=x", 400),
        (GMAIL, "/google/calendar/v3/users/me/calendarList", 403),
        (CALENDAR, "/google/gmail/v1/users/me/messages", 403),
        (CALENDAR, "/google/calendar/v3/users/me/calendarList", 200),
        (CALENDAR, "/google/calendar/v3/calendars/primary/events", 200),
        (CALENDAR, "/google/calendar/v3/calendars/other/events", 404),
        (CALENDAR, "/google/calendar/v3/calendars/primary/events/none", 404),
        (CALENDAR, "/google/v1/userinfo", 403),
        (CALENDAR, "/google/v1/nothing", 404),
    ],
)
def test_paths_and_scopes(sandbox, scope, path, status) -> None:
    answer = sandbox.api("GET", path, sandbox.tokens("google", scope)["access_token"])
    assert answer.status == status
    if status != 200:
        assert answer.json()["error"]["code"] == status


def test_the_refusals_name_their_cause_in_a_header(sandbox) -> None:
    stranger = sandbox.api("GET", "/google/gmail/v1/users/me/messages", "sbx_at_wrong")
    assert (stranger.status, stranger.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert 'error="invalid_token"' in stranger.headers["www-authenticate"]
    token = sandbox.tokens("google", CALENDAR)["access_token"]
    narrow = sandbox.api("GET", "/google/gmail/v1/users/me/messages", token)
    assert 'error="insufficient_scope"' in narrow.headers["www-authenticate"]


def test_mails_are_listed_in_pages_and_read(sandbox) -> None:
    token = sandbox.tokens("google", GMAIL)["access_token"]
    path, found, page = "/google/gmail/v1/users/me/messages", [], {"nextPageToken": "0"}
    while "nextPageToken" in page:
        page = sandbox.api("GET", f"{path}?maxResults=2&pageToken={page['nextPageToken']}", token).json()
        found += page["messages"]
    assert len({m["id"] for m in found}) == page["resultSizeEstimate"] == 3
    mail = sandbox.api("GET", f"{path}/{found[0]['id']}", token).json()
    assert b"Hello Alice" in base64.urlsafe_b64decode(mail["payload"]["body"]["data"])
    assert sandbox.api("GET", f"{path}?q=invoice", token).json()["resultSizeEstimate"] == 1
    assert "messages" not in sandbox.api("GET", f"{path}?q=nothing-like-it", token).json()


def test_events_are_listed_and_read(sandbox) -> None:
    token = sandbox.tokens("google", CALENDAR)["access_token"]
    path = "/google/calendar/v3/calendars/primary/events"
    first = sandbox.api("GET", f"{path}?maxResults=1", token).json()
    rest = sandbox.api("GET", f"{path}?pageToken={first['nextPageToken']}", token).json()
    assert [e["summary"] for e in first["items"] + rest["items"]] == ["Stand-up", "Dentist", "Concert"]
    event = first["items"][0]
    assert sandbox.api("GET", f"{path}/{event['id']}", token).json() == event
