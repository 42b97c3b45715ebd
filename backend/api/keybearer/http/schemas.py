"""Shapes that every route may answer with, for the OpenAPI document."""

from http import HTTPStatus
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

_MEANING = {
    400: "Syntax that makes no sense, such as a broken body or a header that is there twice",
    401: "No valid credential",
    403: "Not allowed, or asked from another site",
    404: "There is no such thing for this caller",
    409: "The state of things does not allow it",
    413: "The body is too large",
    422: "A value is not allowed; `errors` names it where it can",
    429: "Too many at once; `Retry-After` says when",
    431: "The headers are too large",
    502: "The provider's answer cannot be used",
    503: "A part that is needed is away; `Retry-After` may say when to try again",
}


class Wire(BaseModel):
    """What travels: unknown members are refused, and attributes of records are read as they are."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Page(Wire, Generic[T]):
    """Every list. `next` goes back as `after` to continue; null means that this is the end."""

    items: list[T]
    next: str | None = None


class About(Wire):
    """What answers here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "keybearer", "version": "0.1.0", "links": {"health": "/api/health"}}],
        }
    )

    name: str
    version: str
    links: dict[str, str]


class Health(Wire):
    """That the process answers; whether it is ready is for the internal port."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable and has a paragraph in docs/troubleshooting.md, where `type` leads."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "https://github.com/keybearer/keybearer/blob/main/docs/troubleshooting.md#not_signed_in",
                    "title": "Not signed in",
                    "status": 401,
                    "detail": "Sign in, then try again. Your session may have ended.",
                    "code": "not_signed_in",
                    "request_id": "5f0c1f6f5b0e4d0f8f6f2f1f7c1d2e3a",
                }
            ]
        },
    )

    type: str = Field(description="The address of the code's paragraph.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do next, in a sentence for people.")
    code: str
    request_id: str = Field(description="Quote it when you ask for help; logs and ledger carry it too.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can answer these statuses with a problem body."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _MEANING.get(status, HTTPStatus(status).phrase), "content": content}
        for status in statuses
    }
