"""The two documents that an OpenID provider publishes: its metadata and its keys."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.answers import Json
from keybearer_sandbox.control.strikes import strike
from keybearer_sandbox.oauth.provider import Provider
from keybearer_sandbox.sandbox import Sandbox

_CACHE = {"Cache-Control": "public, max-age=3600"}


class OpenIdDocuments:
    """`endpoints` maps metadata names such as `token_endpoint` to paths below the issuer."""

    def __init__(
        self,
        sandbox: Sandbox,
        provider: Provider,
        endpoints: Mapping[str, str],
        extra: Mapping[str, object],
    ) -> None:
        self._sandbox = sandbox
        self._provider = provider
        self._endpoints = endpoints
        self._extra = extra

    def routes(self) -> list[Route]:
        return [
            self._document("/.well-known/openid-configuration", "discovery", self._metadata),
            self._document(self._endpoints["jwks_uri"], "jwks", self._sandbox.keys.key_set),
        ]

    def _metadata(self) -> dict[str, object]:
        issuer = self._provider.issuer
        return {
            "issuer": issuer,
            **{name: issuer + path for name, path in self._endpoints.items()},
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            **self._extra,
        }

    def _document(self, path: str, operation: str, content: Callable[[], dict[str, object]]) -> Route:
        async def endpoint(request: Request) -> Response:
            self._sandbox.stats.count(self._provider.name, operation)
            struck = await strike(self._sandbox, self._provider, operation, request)
            return struck or Json(content(), headers=_CACHE)

        return Route(path, endpoint)
