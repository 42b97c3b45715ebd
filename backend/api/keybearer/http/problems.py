"""Errors as RFC 9457 problem bodies. The one place that knows HTTP statuses."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from keybearer.kit import context, errors
from keybearer.kit.errors import KeybearerError

MEDIA_TYPE = "application/problem+json"
DOCUMENTATION = "https://github.com/keybearer/keybearer/blob/main/docs/troubleshooting.md"

# The first category that an error is an instance of decides.
_STATUSES: tuple[tuple[type[KeybearerError], int], ...] = (
    (errors.TooLarge, 413),
    (errors.BadInput, 422),
    (errors.NotSignedIn, 401),
    (errors.Forbidden, 403),
    (errors.ReauthenticationNeeded, 403),  # 401 would say that the session is over
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooMany, 429),
    (errors.UpstreamFailed, 502),
    (errors.Unavailable, 503),
)
# Syntax that no reading makes sense of is 400; 422 is for values that make none.
_STATUS_OF_CODE = {
    "body_malformed": 400,
    "path_refused": 400,
    "query_refused": 400,
    "header_refused": 400,
    "confirmation_mismatch": 400,
    "headers_too_large": 431,
}
_PLAIN = {
    400: ("body_malformed", "The request is not valid", "The request could not be understood. Check its syntax."),
    404: ("not_found", "Not found", "There is nothing at this address. Check the path."),
    405: ("method_not_allowed", "Method not allowed", "This address exists, but not for this method."),
}
_INTERNAL = (
    "internal_error",
    "Something went wrong",
    "An unexpected error happened and was logged. Quote the request id when you report it.",
)

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(KeybearerError, _keybearer_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: KeybearerError) -> int:
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for category, status in _STATUSES if isinstance(error, category)), 500)


def response(error: KeybearerError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error; `headers` are added to it."""
    status = status_of(error)
    merged = dict(headers or {})
    if error.retry_after is not None:
        merged["Retry-After"] = str(error.retry_after)
    if status == 401:
        merged["WWW-Authenticate"] = "Bearer"
    return _problem(status, error.code, error.title, error.detail, error.extra, merged)


def internal() -> Response:
    code, title, detail = _INTERNAL
    return _problem(500, code, title, detail, {}, {})


def _problem(
    status: int, code: str, title: str, detail: str, extra: Mapping[str, object], headers: Mapping[str, str]
) -> Response:
    body = {
        "type": f"{DOCUMENTATION}#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": context.request.get().request_id,
        **extra,
    }
    return Response(
        json.dumps(body, default=str).encode(),
        status,
        {"Cache-Control": "no-store", **headers},
        MEDIA_TYPE,
    )


async def _keybearer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, KeybearerError)
    if status_of(error) >= 500:
        log.warning("request.failed", code=error.code, cause=type(error.__cause__).__name__)
    return response(error)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    """The framework raises it again once this is sent, and the outermost layer logs it."""
    return internal()


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return response(errors.BadInput("body_malformed", "The body is not valid JSON. Check it and send it again."))
    found = [{"where": _where(problem["loc"]), "what": problem["msg"]} for problem in problems[:20]]
    first = f"{found[0]['where']}: {found[0]['what']}." if found else ""
    return response(
        errors.BadInput("request_invalid", f"A part of the request is not valid. {first}", extra={"errors": found})
    )


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, KeybearerError):  # what was raised while the framework read the body
        return response(error.__cause__)
    code, title, detail = _PLAIN.get(error.status_code, (f"http_{error.status_code}", "Refused", str(error.detail)))
    return _problem(error.status_code, code, title, detail, {}, error.headers or {})


def _where(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location)
