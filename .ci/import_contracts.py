"""The one import rule that import-linter has no contract for, so that no list of domains must be kept."""

import grimp
from importlinter import Contract, ContractCheck, fields, output


class PrivateContract(Contract):
    """A private module is imported only from within its own domain, `distribution.domain`."""

    type_name = "private"

    private_modules = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  the base class names it
        broken = [
            {"importer": importer, "imported": module}
            for expression in self.private_modules  # type: ignore[attr-defined]  # a descriptor at run time
            for module in sorted(graph.find_matching_modules(expression.expression))
            for importer in sorted(graph.find_modules_that_directly_import(module))
            if importer.split(".")[:2] != module.split(".")[:2]
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for link in check.metadata["broken"]:
            output.print_error(f"{link['importer']} may not import {link['imported']}")
