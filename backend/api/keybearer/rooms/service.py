"""Tokens with which a person enters one room of the LiveKit server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keybearer.kit.errors import Conflict, Forbidden
from keybearer.kit.principal import Principal
from keybearer.tenancy.model import DEFAULT_ID, Tenant

LONGEST = timedelta(hours=6)
_OWN = "person-"


@dataclass(frozen=True, slots=True)
class LiveKit:
    """Where the server is, and the key that its tokens are signed with."""

    url: str
    api_key: str
    api_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoomToken:
    token: str = field(repr=False)
    url: str
    room: str


class Rooms:
    def __init__(self, livekit: LiveKit | None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._livekit = livekit
        self._now = now

    def token(self, principal: Principal, tenant: Tenant, room: str, name: str) -> RoomToken:
        """For this room alone, and no longer than the session lasts.

        Raises Conflict("livekit_not_configured"), and Forbidden("room_of_another") for another person's own room.
        """
        if self._livekit is None:
            raise Conflict(
                "livekit_not_configured",
                "This Keybearer has no LiveKit server, so no rooms. Whoever runs it sets KEYBEARER_LIVEKIT_URL.",
            )
        if room.startswith(_OWN) and room != own_room(principal):
            raise Forbidden("room_of_another", "This room is another person's own. Choose another name.")
        # Heavy, and needed by no other part of the server.
        from livekit import api

        room = room_of(tenant, room)
        token = (
            api.AccessToken(self._livekit.api_key, self._livekit.api_secret)
            .with_identity(str(principal.user_id))
            .with_name(name)
            .with_ttl(min(LONGEST, principal.expires_at - self._now()))
            .with_grants(api.VideoGrants(room_join=True, room=room))
        )
        return RoomToken(token.to_jwt(), self._livekit.url, room)

    def own_token(self, principal: Principal, tenant: Tenant) -> RoomToken | None:
        """For the person's own room; None where there is no LiveKit server."""
        if self._livekit is None:
            return None
        return self.token(principal, tenant, own_room(principal), principal.name)


def own_room(principal: Principal) -> str:
    """The room that a person has to themselves, and whomever they let in."""
    return f"{_OWN}{principal.user_id}"


def room_of(tenant: Tenant, room: str) -> str:
    """Tenants share a server and must not meet, so a room of any but the first is called `<tenant>/<room>` there."""
    return room if tenant.id == DEFAULT_ID else f"{tenant.slug}/{room}"
