"""The OpenAPI document as readers, type generators and fuzzers want it: plain names, and each answer that can come.

Routes declare what is theirs; what every route shares (limits, the cross-site check, credentials) is added here once.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from keybearer.http.schemas import Problem, problems

# They answer 401 too, and are asked by whoever has no credential yet.
_OPEN = frozenset({"/api/auth/login", "/api/auth/refresh"})
METHODS = ("get", "post", "put", "patch", "delete")
_REF = "#/components/schemas/"
_PAGE = re.compile(r"Page_(\w+)_")
_SECURITY = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-keybearer_session",
        "description": "Set by signing in. On plain http, which only this machine itself may use: keybearer_session.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access or session token of POST /api/auth/login, or an API key, `kbk_…`.",
    },
    "grant": {"type": "http", "scheme": "bearer", "description": "A grant, `kbg_…`, which POST /api/grants gives out."},
}


def operation_id(route: APIRoute) -> str:
    """The function's own name: clients are generated from it."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    for path, method, operation in operations(described):
        _add_shared_answers(operation, writes=method != "get")
        _name_credential(path, operation)
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = _SECURITY
    renamed = _renamed(described)
    _complete_examples(renamed["components"]["schemas"])
    return renamed


def operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation), in the order of paths."""
    for path, item in sorted(described["paths"].items()):
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _add_shared_answers(operation: dict[str, Any], *, writes: bool) -> None:
    answers = operation["responses"]
    statuses = [400, 431]
    if "422" in answers:
        del answers["422"]
        statuses.append(422)
    if writes:
        statuses.append(403)
    if "requestBody" in operation:
        statuses.append(413)
    if "401" in answers:
        # An API key may lack the scope.
        statuses += [403, 503]
    for status, answer in problems(*statuses).items():
        answers.setdefault(str(status), answer)
    operation["responses"] = dict(sorted(answers.items()))


def _name_credential(path: str, operation: dict[str, Any]) -> None:
    if path.startswith("/api/proxy/"):
        operation["security"] = [{"grant": []}]
    elif "401" in operation["responses"] and path not in _OPEN:
        operation["security"] = [{"session": []}, {"bearer": []}]


def _renamed(described: dict[str, Any]) -> dict[str, Any]:
    """Components under the names of what they are; `Wire` only keeps a class apart from the record that it shows."""
    schemas = described["components"]["schemas"]
    names = {name: _plain(name, schemas) for name in schemas}
    for name, schema in schemas.items():
        schema["title"] = names[name]
    described["components"]["schemas"] = dict(sorted((names[name], schema) for name, schema in schemas.items()))

    def visit(node: Any) -> Any:
        if isinstance(node, list):
            return [visit(one) for one in node]
        if not isinstance(node, dict):
            return node
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(_REF):
            return {**node, "$ref": _REF + names[target.removeprefix(_REF)]}
        return {key: visit(value) for key, value in node.items()}

    renamed: dict[str, Any] = visit(described)
    return renamed


def _plain(name: str, schemas: Mapping[str, Any]) -> str:
    """A title that a model sets is its name."""
    if page := _PAGE.fullmatch(name):
        return _plain(page[1], schemas) + "Page"
    title = str(schemas[name].get("title", name))
    return (title if title.isidentifier() else name).removesuffix("Wire")


def _complete_examples(schemas: dict[str, Any]) -> None:
    """The framework drops nulls from examples; and a page's example is its item's, once."""
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            example.update({name: None for name in schema.get("required", ()) if name not in example})
    for name, schema in schemas.items():
        if name.endswith("Page"):
            item = schemas[schema["properties"]["items"]["items"]["$ref"].removeprefix(_REF)]
            schema["examples"] = [{"items": item["examples"][:1], "next": None}]
