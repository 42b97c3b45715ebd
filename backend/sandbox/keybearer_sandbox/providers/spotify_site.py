"""Puts the fake Spotify's endpoints together. It has no revocation endpoint, as the real one has none."""

from starlette.routing import BaseRoute, Route

from keybearer_sandbox.oauth.authorization import AuthorizationEndpoint
from keybearer_sandbox.oauth.bearer import GuardedApi
from keybearer_sandbox.oauth.token_endpoint import TokenEndpoint
from keybearer_sandbox.providers.spotify import Spotify
from keybearer_sandbox.providers.spotify_api import SpotifyApi
from keybearer_sandbox.providers.transfers import Transfers
from keybearer_sandbox.sandbox import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    provider = Spotify(sandbox.settings.base_url)
    api = GuardedApi(sandbox, provider)
    return [
        Route("/authorize", AuthorizationEndpoint(sandbox, provider).answer),
        Route("/api/token", TokenEndpoint(sandbox, provider).answer, methods=["POST"]),
        *SpotifyApi(sandbox).routes(api),
        *Transfers(sandbox.closing).routes(api, "/v1"),
    ]
