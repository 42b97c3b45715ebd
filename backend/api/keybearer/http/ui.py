"""Serves the built UI on the API's own port, for one machine; on a cluster nginx does."""

from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

_IMMUTABLE = "public, max-age=31536000, immutable"


class Ui:
    """Hashed assets for ever, and index.html for every page, because pages are routes of the browser's."""

    def __init__(self, folder: Path) -> None:
        self._index = folder / "index.html"
        self._files = StaticFiles(directory=folder)
        self._known = {f"/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["keybearer_route"] = "ui"
        response = await self._response(scope)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        path = scope["path"]
        if path in self._known and path != "/index.html":
            response = await self._files.get_response(path.lstrip("/"), scope)
            if path.startswith("/assets/"):
                response.headers["Cache-Control"] = _IMMUTABLE
            return response
        if path.startswith("/assets/"):
            return Response(status_code=404)
        return FileResponse(self._index, headers={"Cache-Control": "no-cache"})
