"""The API reference as one plain page, made from the OpenAPI document; no script, so our own CSP lets it be."""

from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

_METHODS = ("get", "post", "put", "patch", "delete")


def reference_page(document: Mapping[str, Any]) -> Response:
    operations = "".join(
        _operation(path, method, item[method])
        for path, item in sorted(document["paths"].items())
        for method in _METHODS
        if method in item
    )
    title = f"{escape(document['info']['title'])} API {escape(document['info']['version'])}"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        f"<body><main><h1>{title}</h1><p>{escape(document['info']['description'])} The machine-readable document is at "
        f'<a href="/api/openapi.json">/api/openapi.json</a>.</p>{operations}</main></body></html>'
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}{', required' if each.get('required') else ''})"
        f" {escape(each.get('description', ''))}</li>"
        for each in operation.get("parameters", ())
    )
    body = operation.get("requestBody", {}).get("content", {})
    answers = ", ".join(escape(status) for status in operation["responses"])
    return (
        f'<section><h2 id="{escape(operation["operationId"])}"><code>{method.upper()} {escape(path)}</code></h2>'
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
        + (f"<ul>{parameters}</ul>" if parameters else "")
        + (f"<p>Body: {', '.join(_schema(part.get('schema', {})) for part in body.values())}</p>" if body else "")
        + f"<p>Answers: {answers}</p></section>"
    )


def _schema(schema: Mapping[str, Any]) -> str:
    return f"<code>{escape(str(schema.get('$ref', '')).rpartition('/')[2] or str(schema.get('type', 'any')))}</code>"
