"""Serves the built UI on the API's own port, for one machine; on a cluster nginx does."""

import stat
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from keybearer.kit.errors import NotFound

_NOT_PAGES = ("/api/", "/.well-known/")
_IMMUTABLE = "public, max-age=31536000, immutable"


class Ui:
    """Hashed assets for ever, and index.html for every page, because pages are routes of the browser's."""

    def __init__(self, folder: Path) -> None:
        self._index = folder / "index.html"
        self._files = StaticFiles(directory=folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["keybearer_route"] = "ui"
        response = await self._response(scope)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["path"].startswith(_NOT_PAGES):
            raise NotFound("not_found", "There is nothing at this address. Check the path.")
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        path, is_asset = scope["path"], scope["path"].startswith("/assets/")
        _, found = self._files.lookup_path(path.lstrip("/"))
        if found is None or not stat.S_ISREG(found.st_mode) or path == "/index.html":
            if is_asset:
                return Response(status_code=404)
            return FileResponse(self._index, headers={"Cache-Control": "no-cache"})
        response = await self._files.get_response(path.lstrip("/"), scope)
        if is_asset:
            response.headers["Cache-Control"] = _IMMUTABLE
        return response
