"""Reads query strings and form bodies strictly: what is not plainly well formed is refused, never guessed."""

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 100


class MalformedRequest(Exception):
    """The caller's bytes are not what the endpoint takes; the message says what is wrong with them."""


def query(request: Request) -> dict[str, str]:
    return _fields(request.scope["query_string"])


async def form(request: Request) -> dict[str, str]:
    if media_type(request) != "application/x-www-form-urlencoded":
        raise MalformedRequest("The body must be application/x-www-form-urlencoded.")
    return _fields(await body(request, MAX_FORM_BYTES))


async def json_object(request: Request, limit: int = MAX_FORM_BYTES) -> dict[str, Any]:
    return parse_json_object(await body(request, limit))


def parse_json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedRequest("The body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise MalformedRequest("The body must be a JSON object.")
    return value


async def body(request: Request, limit: int) -> bytes:
    parts = bytearray()
    try:
        async for chunk in request.stream():
            parts += chunk
            if len(parts) > limit:
                raise MalformedRequest("The body is too large.")
    except ClientDisconnect as error:
        raise MalformedRequest("The body ended early.") from error
    return bytes(parts)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _fields(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise MalformedRequest("The parameters are not valid UTF-8 form fields.") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise MalformedRequest("A parameter appears more than once.")
        fields[name] = value
    return fields
