"""docs/ledger.md names every action that is recorded, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "backend" / "api" / "keybearer"
ACTION = re.compile(
    r"sign_in|sign_out|(?:sign_in|sessions?|identity|password|factor|api_key|connection|grant|proxy|account|installation)\.[a-z_]+"
)
# Names of live events, and the second row of a call, which readers see as one with the first.
NO_ACTIONS = frozenset({"connection.changed", "session.revoked", "proxy.finished"})
LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})


def recorded() -> set[str]:
    """Words of an action's form, but for those that a log line begins with and those in FastAPI's tags."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        logged = {
            id(node.args[0])
            for node in nodes
            if isinstance(node, ast.Call) and node.args and getattr(node.func, "attr", "") in LEVELS
        }
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in logged:
                found |= {node.value} if ACTION.fullmatch(node.value) else set()
    return found - NO_ACTIONS


def test_the_page_names_each_action_and_no_other() -> None:
    page = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    table = page.partition("## What is recorded")[2].partition("\n\nA call")[0]
    named = {name for row in re.findall(r"(?m)^\| (`.*?) \|", table) for name in re.findall(r"`([a-z_.]+)`", row)}

    assert named == recorded()
