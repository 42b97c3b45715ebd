"""People get tokens for rooms."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field

from keybearer.http.principal import current_principal
from keybearer.http.schemas import Wire, problems
from keybearer.kit.principal import Principal
from keybearer.rooms.service import Rooms
from keybearer.tenancy.service import tenant_of

_NAME = r"^[^\x00-\x1f\x7f/]+$"


class RoomWish(Wire):
    """The room, and the name that others in it see."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"room_name": "kitchen", "participant_name": "Alice"}]})

    room_name: str = Field(min_length=1, max_length=128, pattern=_NAME)
    participant_name: str = Field(min_length=1, max_length=128, pattern=_NAME)


class RoomTokenWire(Wire):
    """Connect to `livekit_url` with the token. `room_name` is what the server calls the room."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "livekit_token": "eyJhbGciOiJIUzI1NiJ9…",
                    "livekit_url": "wss://livekit.example.com",
                    "room_name": "kitchen",
                    "session_id": "0198a7c2-3f61-7c55-b1f0-8f0d3a9e2b11",
                }
            ]
        }
    )

    livekit_token: str
    livekit_url: str
    room_name: str
    session_id: UUID


def routes(rooms: Rooms) -> APIRouter:
    router = APIRouter(tags=["rooms"])

    @router.post("/auth/token", responses=problems(401, 403, 409, 422), summary="Enter a LiveKit room")
    async def make_room_token(
        request: Request, wish: RoomWish, principal: Annotated[Principal, Depends(current_principal)]
    ) -> RoomTokenWire:
        """Opens that room alone, for at most six hours, and no longer than the session lasts."""
        made = rooms.token(principal, tenant_of(request.scope), wish.room_name, wish.participant_name)
        return RoomTokenWire(
            livekit_token=made.token, livekit_url=made.url, room_name=made.room, session_id=principal.session_id
        )

    return router
