"""Shapes that every route may answer with, for the OpenAPI document."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Wire(BaseModel):
    """What travels: unknown members are refused, and attributes of records are read as they are."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Page(Wire, Generic[T]):
    """Every list. `next` goes back as `after` to continue; null means that this is the end."""

    items: list[T]
    next: str | None = None


class Problem(BaseModel):
    """RFC 9457. `code` is stable and has a paragraph in docs/troubleshooting.md, where `type` leads."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = Field(description="Quote it when you ask for help; logs and ledger carry it too.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can answer these statuses with a problem body."""
    return {
        status: {"model": Problem, "content": {"application/problem+json": {}}, "description": "Problem"}
        for status in statuses
    }
