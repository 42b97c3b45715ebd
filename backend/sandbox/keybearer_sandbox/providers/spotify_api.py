"""The fake Spotify's Web API: the person, search, and a player that remembers what it plays."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.accounts import Account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.bearer import ApiCall, GuardedApi, Handler
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.refusals import ApiRefused
from keybearer_sandbox.providers import spotify_music
from keybearer_sandbox.providers.transfers import whole_number
from keybearer_sandbox.sandbox import Sandbox

_READ = ("user-read-playback-state",)
_CONTROL = ("user-modify-playback-state",)


@dataclass
class _Player:
    uri: str = spotify_music.TRACKS[0].uri
    playing: bool = False
    started: bool = False
    progress_ms: int = 0


class SpotifyApi:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._players: dict[str, _Player] = {}
        sandbox.on_reset(self._players.clear)

    def routes(self, api: GuardedApi) -> list[Route]:
        endpoints: tuple[tuple[str, Handler, str, tuple[str, ...], str], ...] = (
            ("/v1/me", self._me, "me", (), "GET"),
            ("/v1/search", self._search, "search", (), "GET"),
            ("/v1/me/player", self._player, "player", _READ, "GET"),
            ("/v1/me/player/currently-playing", self._player, "player", _READ, "GET"),
            ("/v1/me/player/devices", self._devices, "devices", _READ, "GET"),
            ("/v1/me/player/play", self._play, "play", _CONTROL, "PUT"),
            ("/v1/me/player/pause", self._pause, "pause", _CONTROL, "PUT"),
        )
        return [
            api.route(path + slash, handler, operation, scopes, (method,))
            for path, handler, operation, scopes, method in endpoints
            for slash in ("", "/")  # as the real one; spotipy asks for /v1/me/
        ]

    async def _me(self, call: ApiCall) -> Response:
        account, scopes = call.account, call.token.grant.scopes
        identifier = account.spotify_id()
        person: dict[str, object] = {
            "display_name": account.name,
            "external_urls": {"spotify": f"https://open.spotify.com/user/{identifier}"},
            "followers": {"href": None, "total": 0},
            "href": f"https://api.spotify.com/v1/users/{identifier}",
            "id": identifier,
            "images": [],
            "type": "user",
            "uri": f"spotify:user:{identifier}",
        }
        if "user-read-email" in scopes:
            person["email"] = account.email
        if "user-read-private" in scopes:
            person |= {"country": "GB", "product": "premium", "explicit_content": _NO_FILTER}
        return Json(person)

    async def _search(self, call: ApiCall) -> Response:
        fields = parameters.query(call.request)
        if not fields.get("q", "").strip():
            raise MalformedRequest("No search query")
        kinds = frozenset(filter(None, fields.get("type", "").split(",")))
        if not kinds:
            raise MalformedRequest("Missing parameter type")
        if not kinds <= spotify_music.KINDS:
            raise MalformedRequest("Bad search type field")
        limit = whole_number(fields, "limit", 20, 1, 50)
        offset = whole_number(fields, "offset", 0, 0, 1000)
        href = f"https://api.spotify.com/v1/search?{call.request.scope['query_string'].decode('ascii')}"
        return Json(spotify_music.search(fields["q"], kinds, limit, offset, href))

    async def _player(self, call: ApiCall) -> Response:
        player = self._players.get(call.account.handle)
        if player is None or not player.started:
            return Response(status_code=204)
        track = spotify_music.find_track(player.uri)
        return Json(
            {
                "device": _device(call.account, active=True),
                "is_playing": player.playing,
                "progress_ms": player.progress_ms,
                "item": track.as_json() if track else {"uri": player.uri, "type": "track"},
                "currently_playing_type": "track",
                "repeat_state": "off",
                "shuffle_state": False,
                "context": None,
                "timestamp": int(self._sandbox.clock() * 1000),
                "actions": {"disallows": {}},
            }
        )

    async def _devices(self, call: ApiCall) -> Response:
        player = self._players.get(call.account.handle)
        return Json({"devices": [_device(call.account, active=player is not None and player.started)]})

    async def _play(self, call: ApiCall) -> Response:
        self._check_device(call)
        wish = await _json_or_nothing(call.request)
        player = self._players.setdefault(call.account.handle, _Player())
        player.uri = _wished_uri(wish) or player.uri
        player.progress_ms = _wished_position(wish)
        player.playing = player.started = True
        return Response(status_code=204)

    async def _pause(self, call: ApiCall) -> Response:
        self._check_device(call)
        player = self._players.get(call.account.handle)
        if player is None:
            raise ApiRefused("no_active_device")
        player.playing = False
        return Response(status_code=204)

    def _check_device(self, call: ApiCall) -> None:
        wanted = parameters.query(call.request).get("device_id")
        if wanted is not None and wanted != _device_id(call.account):
            raise ApiRefused("device_not_found")


_NO_FILTER = {"filter_enabled": False, "filter_locked": False}


async def _json_or_nothing(request: Request) -> dict[str, object]:
    raw = await parameters.body(request, parameters.MAX_FORM_BYTES)
    if not raw:
        return {}
    try:
        return parameters.parse_json_object(raw)
    except MalformedRequest as error:
        raise MalformedRequest("Malformed json") from error


def _wished_uri(wish: dict[str, object]) -> str | None:
    uris = wish.get("uris")
    if uris is None:
        context = wish.get("context_uri")
        if context is not None and not isinstance(context, str):
            raise MalformedRequest("Invalid context uri")
        return context
    if not isinstance(uris, list) or not uris or not all(isinstance(u, str) for u in uris):
        raise MalformedRequest("Invalid track uri")
    if not all(u.startswith("spotify:") for u in uris):
        raise MalformedRequest("Invalid track uri")
    return str(uris[0])


def _wished_position(wish: dict[str, object]) -> int:
    position = wish.get("position_ms", 0)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position < 10**9:
        raise MalformedRequest("Invalid position_ms")
    return position


def _device_id(account: Account) -> str:
    return f"sandbox-{account.handle}"


def _device(account: Account, *, active: bool) -> dict[str, object]:
    return {
        "id": _device_id(account),
        "is_active": active,
        "is_private_session": False,
        "is_restricted": False,
        "name": f"{account.given_name}'s kitchen radio",
        "type": "Speaker",
        "volume_percent": 40,
        "supports_volume": True,
    }
