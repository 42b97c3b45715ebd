"""`GET /events`: what changes for a person, while they look."""

from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from keybearer.events.service import Events
from keybearer.events.streams import Stream
from keybearer.http.principal import current_principal
from keybearer.http.schemas import problems
from keybearer.kit.principal import Principal

Caller = Annotated[Principal, Depends(current_principal)]

_DESCRIPTION = """Server-sent events `connection.changed` `{"id","provider","state"}`, `grant.revoked` `{"id"}` and
`session.revoked` `{"id"}`. `Last-Event-ID` resumes within an hour; an event may then arrive twice. The stream ends with
its session."""
_EXAMPLE = """id: 9041-17
event: connection.changed
data: {"id":"0198a7c1-9e0b-7a43-8d17-64c1f0b0a7d3","provider":"spotify","state":"active"}

"""


class SessionEnd(Protocol):
    """Calls `close` when the session of the request ends; the answer unregisters it.

    Raises NotSignedIn when it has ended already.
    """

    async def __call__(self, request: Request, close: Callable[[], None], /) -> Callable[[], None]: ...


def routes(events: Events, on_session_end: SessionEnd) -> APIRouter:
    router = APIRouter(tags=["events"])

    @router.get(
        "/events",
        response_class=StreamingResponse,
        summary="Changes as they happen",
        description=_DESCRIPTION,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
            **problems(401, 429),
        },
    )
    async def stream_events(
        request: Request, principal: Caller, last_event_id: Annotated[str | None, Header(max_length=64)] = None
    ) -> StreamingResponse:
        stream = await events.open(principal, last_event_id)
        try:
            unregister = await on_session_end(request, stream.close)
        except BaseException:
            stream.close()
            raise
        return _EventStream(stream, unregister)

    return router


class _EventStream(StreamingResponse):
    """Lets go of the stream however the answer ends, also when the page leaves in the middle of a frame."""

    def __init__(self, stream: Stream, unregister: Callable[[], None]) -> None:
        super().__init__(
            stream.frames(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._stream = stream
        self._unregister = unregister

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._unregister()
            self._stream.close()
