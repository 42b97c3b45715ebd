"""Every operation of the OpenAPI document under schemathesis: right data, wrong data, broken headers and types.

The seed is fixed; KEYBEARER_FUZZ_SEED sets another one, and every failure names the one it came from.
"""

import os
from typing import Any

import openapi_document
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

SEED = int(os.environ.get("KEYBEARER_FUZZ_SEED", "20261123"))
_CHECKS = [
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.response_headers_conformance,
]


def fuzzed(examples: int, *, coverage: bool) -> Any:
    """The document without its security schemes: credentials come from the target, and are no data to vary."""
    document = openapi_document.of_this_code()
    del document["components"]["securitySchemes"]
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    generation = {"max-examples": examples, "no-shrink": examples < 50, "database": "none"}
    config = SchemathesisConfig.from_dict(
        {"seed": SEED, "generation": generation, "phases": {"coverage": {"enabled": coverage}}}
    )
    return schemathesis.openapi.from_dict(document, config=config)


quick = fuzzed(10, coverage=False)
full = fuzzed(150, coverage=True)


@quick.parametrize()
def test_operation(case, target) -> None:
    fuzz(case, target)


@pytest.mark.long
@pytest.mark.timeout(900)
@full.parametrize()
def test_operation_at_length(case, target) -> None:
    fuzz(case, target)


def fuzz(case: Any, target: Any) -> None:
    """Each case goes as it was made, and once more with path parameters that lead to something."""
    operation_id = case.operation.definition.raw["operationId"]
    try:
        send(case, operation_id, target)
        if case.path_parameters:
            for name in case.path_parameters:
                case.path_parameters[name] = target.real(operation_id, name)
            send(case, operation_id, target)
    except Exception as failure:
        failure.add_note(f"KEYBEARER_FUZZ_SEED={SEED} repeats it")
        raise


def send(case: Any, operation_id: str, target: Any) -> None:
    request = case.as_transport_kwargs(base_url=target.url)
    headers = {**request.pop("headers"), **target.credential(operation_id)}
    answer = target.send(operation_id, **request, headers=headers)
    declared = target.declared(case.path, case.method)
    assert str(answer.status) in declared or "default" in declared, f"{answer.status} is not in the document"
    if case.method == case.operation.method and answer.body:
        case.validate_response(answer.raw, checks=_CHECKS)
