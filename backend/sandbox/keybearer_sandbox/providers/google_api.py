"""The fake Google's APIs: userinfo, and reads of Gmail and Calendar under their real paths."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.accounts import ACCOUNTS, Account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.bearer import ApiCall, GuardedApi
from keybearer_sandbox.oauth.refusals import ApiRefused
from keybearer_sandbox.providers.google import EMAIL_SCOPE, PROFILE_SCOPE, person_claims
from keybearer_sandbox.providers.transfers import whole_number

_URL = "https://www.googleapis.com/auth/"
_PERSON = ("openid", EMAIL_SCOPE, PROFILE_SCOPE)
_GMAIL = ("https://mail.google.com/", f"{_URL}gmail.readonly", f"{_URL}gmail.modify")
_CALENDAR = tuple(
    f"{_URL}{name}" for name in ("calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly")
)
_SUBJECTS = ("Lunch on Friday?", "Your invoice for November", "Notes from the review")
_EVENTS = ("Stand-up", "Dentist", "Concert")
_EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class GoogleApi:
    def routes(self, api: GuardedApi) -> list[Route]:
        gmail, calendar = "/gmail/v1/users/{user}", "/calendar/v3"
        events = f"{calendar}/calendars/{{calendar}}/events"
        return [
            api.route("/v1/userinfo", self._userinfo, "userinfo", _PERSON, ("GET", "POST")),
            api.route("/oauth2/v3/userinfo", self._userinfo, "userinfo", _PERSON, ("GET", "POST")),
            api.route(f"{gmail}/profile", self._gmail_profile, "gmail", _GMAIL),
            api.route(f"{gmail}/messages", self._messages, "gmail", _GMAIL),
            api.route(f"{gmail}/messages/{{message}}", self._message, "gmail", _GMAIL),
            api.route(f"{calendar}/users/me/calendarList", self._calendars, "calendar", _CALENDAR),
            api.route(events, self._events, "calendar", _CALENDAR),
            api.route(f"{events}/{{event}}", self._event, "calendar", _CALENDAR),
        ]

    async def _userinfo(self, call: ApiCall) -> Response:
        return Json(person_claims(call.account, call.token.grant.scopes))

    async def _gmail_profile(self, call: ApiCall) -> Response:
        _check_user(call)
        total = len(_SUBJECTS)
        return Json(
            {
                "emailAddress": call.account.email,
                "messagesTotal": total,
                "threadsTotal": total,
                "historyId": "1",
            }
        )

    async def _messages(self, call: ApiCall) -> Response:
        _check_user(call)
        fields = parameters.query(call.request)
        size = whole_number(fields, "maxResults", 100, 1, 500)
        start = whole_number(fields, "pageToken", 0, 0, 10_000)
        wanted = fields.get("q", "").lower()
        numbers = [n for n, subject in enumerate(_SUBJECTS) if wanted in subject.lower()]
        ids = [_message_id(call.account, n) for n in numbers[start : start + size]]
        answer: dict[str, object] = {"resultSizeEstimate": len(numbers)}
        if ids:
            answer["messages"] = [{"id": i, "threadId": i} for i in ids]
        if start + size < len(numbers):
            answer["nextPageToken"] = str(start + size)
        return Json(answer)

    async def _message(self, call: ApiCall) -> Response:
        _check_user(call)
        return Json(_mail(call.account, _number(call, "message", _message_id, len(_SUBJECTS))))

    async def _calendars(self, call: ApiCall) -> Response:
        primary = {
            "kind": "calendar#calendarListEntry",
            "id": call.account.email,
            "summary": call.account.email,
            "timeZone": "Europe/London",
            "accessRole": "owner",
            "primary": True,
        }
        return Json({"kind": "calendar#calendarList", "items": [primary]})

    async def _events(self, call: ApiCall) -> Response:
        _check_calendar(call)
        fields = parameters.query(call.request)
        size = whole_number(fields, "maxResults", 250, 1, 2500)
        start = whole_number(fields, "pageToken", 0, 0, 10_000)
        numbers = range(len(_EVENTS))[start : start + size]
        answer: dict[str, object] = {
            "kind": "calendar#events",
            "summary": call.account.email,
            "timeZone": "Europe/London",
            "items": [_calendar_event(call.account, n) for n in numbers],
        }
        if start + size < len(_EVENTS):
            answer["nextPageToken"] = str(start + size)
        return Json(answer)

    async def _event(self, call: ApiCall) -> Response:
        _check_calendar(call)
        return Json(_calendar_event(call.account, _number(call, "event", _event_id, len(_EVENTS))))


def _check_user(call: ApiCall) -> None:
    if call.request.path_params["user"] not in ("me", call.account.email):
        raise ApiRefused("not_found")


def _check_calendar(call: ApiCall) -> None:
    if call.request.path_params["calendar"] not in ("primary", call.account.email):
        raise ApiRefused("not_found")


def _number(call: ApiCall, parameter: str, name_of: Callable[[Account, int], str], count: int) -> int:
    wanted = call.request.path_params[parameter]
    for number in range(count):
        if name_of(call.account, number) == wanted:
            return number
    raise ApiRefused("not_found")


def _message_id(account: Account, number: int) -> str:
    return f"{account.github_id():x}{number:04x}"


def _event_id(account: Account, number: int) -> str:
    return f"event{account.handle}{number}"


def _mail(account: Account, number: int) -> Mapping[str, object]:
    sender = next(a for a in ACCOUNTS if a is not account)
    subject = _SUBJECTS[number]
    headers = {"From": f"{sender.name} <{sender.email}>", "To": account.email, "Subject": subject}
    text = f"Hello {account.given_name},\n\nthis is about: {subject}\n\n{sender.given_name}\n".encode()
    received = _EPOCH + timedelta(hours=number)
    return {
        "id": _message_id(account, number),
        "threadId": _message_id(account, number),
        "labelIds": ["INBOX"],
        "snippet": subject,
        "internalDate": str(int(received.timestamp() * 1000)),
        "payload": {
            "mimeType": "text/plain",
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
            "body": {"size": len(text), "data": base64.urlsafe_b64encode(text).decode("ascii")},
        },
        "sizeEstimate": len(text),
    }


def _calendar_event(account: Account, number: int) -> Mapping[str, object]:
    start = _EPOCH + timedelta(days=number)
    return {
        "kind": "calendar#event",
        "id": _event_id(account, number),
        "status": "confirmed",
        "summary": _EVENTS[number],
        "start": {"dateTime": start.isoformat(), "timeZone": "Europe/London"},
        "end": {"dateTime": (start + timedelta(hours=1)).isoformat(), "timeZone": "Europe/London"},
        "organizer": {"email": account.email, "self": True},
    }
