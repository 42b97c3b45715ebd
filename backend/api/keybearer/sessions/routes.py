"""Who is signed in, and where else."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import ConfigDict
from pydantic.config import JsonDict

from keybearer.http.principal import current_principal
from keybearer.http.schemas import Page, Wire, problems
from keybearer.kit.principal import Principal
from keybearer.sessions import device
from keybearer.sessions.model import Session, me_body
from keybearer.sessions.service import Sessions

Caller = Annotated[Principal, Depends(current_principal)]


_USER = "0198a7c0-11aa-7d0e-9b4c-2f1f6f6c9d20"
_SESSION = "0198a7c0-2b3c-7f00-8a11-0c0c7b1d5e42"
_ME: JsonDict = {
    "id": _USER,
    "email": "alice@example.com",
    "name": "Alice",
    "avatar_url": None,
    "roles": ["member"],
    "tenant": {"id": "00000000-0000-7000-8000-000000000001", "name": "Default"},
    "session": {"id": _SESSION, "expires_at": "2026-12-22T18:00:00Z"},
}
_EXAMPLE: JsonDict = {
    "id": _SESSION,
    "current": True,
    "device": "Firefox on Linux",
    "place": "203.0.113.9",
    "signed_in_with": "google",
    "created_at": "2026-11-22T18:00:00Z",
    "last_seen_at": "2026-11-22T18:03:11Z",
    "expires_at": "2026-12-22T18:00:00Z",
}


class TenantWire(Wire):
    id: UUID
    name: str


class CurrentSession(Wire):
    id: UUID
    expires_at: datetime


class Me(Wire):
    """Who is signed in."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ME]})

    id: UUID
    email: str | None
    name: str
    avatar_url: str | None
    roles: list[str]
    tenant: TenantWire
    session: CurrentSession


class SessionWire(Wire):
    """One browser that is signed in."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    current: bool
    device: str
    place: str
    signed_in_with: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def routes(sessions: Sessions) -> APIRouter:
    router = APIRouter(tags=["sessions"])

    @router.get("/auth/me", response_model=Me, responses=problems(401), summary="Who is signed in")
    async def read_me(principal: Caller) -> Response:
        return Response(me_body(principal), media_type="application/json", headers={"Cache-Control": "no-store"})

    @router.get("/auth/check", status_code=204, responses=problems(401), summary="For a proxy's auth_request")
    async def check_session(principal: Caller, response: Response) -> None:
        response.headers["Keybearer-User"] = str(principal.user_id)
        response.headers["Keybearer-Tenant"] = str(principal.tenant_id)
        response.headers["Keybearer-Roles"] = ",".join(principal.roles)

    @router.get("/auth/sessions", responses=problems(401), summary="Your sessions")
    async def list_sessions(principal: Caller) -> Page[SessionWire]:
        return Page(items=[_wire(session, principal) for session in await sessions.list_own(principal)])

    @router.delete(
        "/auth/sessions/{session_id}", status_code=204, responses=problems(401, 404), summary="End a session"
    )
    async def end_session(session_id: UUID, principal: Caller, response: Response) -> None:
        await sessions.end(principal, session_id)
        if session_id == principal.session_id:
            sessions.cookie.clear(response)

    @router.post("/auth/logout", status_code=204, responses=problems(401, 404), summary="End this session")
    async def logout(principal: Caller, response: Response) -> None:
        await sessions.end(principal, principal.session_id)
        sessions.cookie.clear(response)

    return router


def _wire(session: Session, principal: Principal) -> SessionWire:
    return SessionWire(
        id=session.id,
        current=session.id == principal.session_id,
        device=session.device,
        place=device.place(session.address),
        signed_in_with=session.provider,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
    )
