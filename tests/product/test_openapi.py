"""The OpenAPI document says all that readers, type generators and the fuzzer need, and the UI's copy is this code's."""

import json
import re
from collections.abc import Iterator
from typing import Any

import openapi_document
import pytest
from jsonschema_rs import validator_for
from keybearer.http.document import operations

DOCUMENT = openapi_document.of_this_code()
OPERATIONS = [pytest.param(path, method, one, id=one["operationId"]) for path, method, one in operations(DOCUMENT)]
_READABLE = re.compile(r"[a-z]+(_[a-z]+)+|login|logout|register")
# Who asks here has no credential yet, and 401 says that what was sent opens nothing.
_SIGN_INS = {"login", "refresh_tokens"}


def test_the_committed_document_is_this_codes() -> None:
    committed = openapi_document.COMMITTED.read_text()
    assert committed == openapi_document.text(DOCUMENT), (
        "run `python tests/openapi_document.py`, then `npm run types` in frontend-proxy/ui, and commit both"
    )


def test_operation_ids_are_there_once() -> None:
    ids = [one["operationId"] for _, _, one in operations(DOCUMENT)]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) > 25


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_tells_what_it_does(path: str, method: str, operation: dict[str, Any]) -> None:
    assert _READABLE.fullmatch(operation["operationId"])
    assert operation["tags"]
    summary = operation["summary"]
    assert 8 <= len(summary) <= 60
    assert not summary.endswith(".")


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_body_and_answer_has_a_valid_example(path: str, method: str, operation: dict[str, Any]) -> None:
    for content in _contents(operation):
        for media_type, part in content.items():
            if media_type == "*/*":  # what a provider takes and answers is its own
                continue
            schema = _resolved(part["schema"])
            examples = [part["example"]] if "example" in part else schema.get("examples", [])
            assert examples, f"{method} {path}: no example for {media_type}"
            check = validator_for({**schema, "components": DOCUMENT["components"]})
            for example in examples:
                check.validate(example)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_refusal_is_a_problem(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    refusals = {status: answer for status, answer in answers.items() if status[0] in "45"}
    assert {"400", "431"} <= refusals.keys()
    assert method == "get" or "403" in refusals
    assert ("requestBody" in operation) <= ("413" in refusals)
    assert ("security" in operation) == ("401" in refusals and operation["operationId"] not in _SIGN_INS)
    for answer in refusals.values():
        assert set(answer["content"]) == {"application/problem+json"}
        assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert answer["description"] != "Problem"


def test_names_are_plain_and_every_reference_leads_somewhere() -> None:
    names = set(DOCUMENT["components"]["schemas"])
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]+", name) or name.endswith("Wire")] == []
    wanted = {"Me", "Provider", "ProviderField", "Connection", "Grant", "GrantWish", "NewGrant", "LedgerEntry"}
    assert wanted <= names
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert used == names - (names - used)
    assert used <= names


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "requestBody" in operation:
        yield operation["requestBody"]["content"]
    for answer in operation["responses"].values():
        yield answer.get("content", {})


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema
