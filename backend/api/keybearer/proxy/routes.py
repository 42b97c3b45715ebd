"""The proxy's address. What arrives goes on as raw ASGI, because the framework would decode paths and read bodies."""

from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keybearer.http import problems
from keybearer.http.schemas import problems as problem_answers
from keybearer.proxy import errors
from keybearer.proxy.service import Proxy

_PATH = "/proxy/{provider}/{path:path}"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_DOCUMENTED = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_DESCRIPTION = (
    "Give the grant as `Authorization: Bearer kbg_…`. The path, query, body and the usual request headers go to the "
    "provider with the person's credential; its answer is streamed back. Refusals of Keybearer itself carry the header "
    "`Keybearer-Error`; answers of the provider never do."
)


def routes(proxy: Proxy) -> APIRouter:
    router = APIRouter(tags=["proxy"])

    async def carry() -> Response:
        return _Proxied(proxy)

    for method in _METHODS:
        router.add_api_route(
            _PATH,
            carry,
            methods=[method],
            operation_id=f"proxy_{method.lower()}",
            include_in_schema=method in _DOCUMENTED,
            summary=f"{method} at a provider",
            description=_DESCRIPTION,
            response_class=Response,
            responses={
                200: {"description": "The provider's answer", "content": {"*/*": {}}},
                "default": {"description": "The provider's answer, whatever its status", "content": {"*/*": {}}},
                **problem_answers(400, 401, 403, 404, 409, 413, 422, 502, 503),
            },
            openapi_extra={"parameters": _PARAMETERS},
        )

    @router.websocket(_PATH)
    async def refuse(websocket: WebSocket) -> None:
        refusal = errors.websocket_refused()
        await websocket.send_denial_response(problems.response(refusal, {"Keybearer-Error": refusal.code}))

    return router


class _Proxied(Response):
    """Hands the connection over once the framework has found the route."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._proxy(scope, receive, send)


def _parameter(name: str, place: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


_PARAMETERS = [
    _parameter("provider", "path", "The provider's name, such as spotify.", required=True),
    _parameter("path", "path", "The provider's own path, such as v1/me.", required=True),
    _parameter("Keybearer-Reason", "header", "Why, in at most 500 characters; the person sees it in their activity."),
    _parameter("Keybearer-Connection", "header", "Which connection, where the grant holds two of one provider."),
]
