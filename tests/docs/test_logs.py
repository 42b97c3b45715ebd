"""docs/logs.md names every event that is logged, and no other."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "backend" / "api" / "keybearer"
LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "msg", "log"})
EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+")


@cache
def logged() -> tuple[dict[str, str], list[str]]:
    """The events with where they are, and the calls whose event is not a literal."""
    events: dict[str, str] = {}
    unclear: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        loggers = {name for node in nodes for name in _loggers(node)}
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            if not _writes(call, loggers):
                continue
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            event = call.args[0] if call.args else None
            if isinstance(event, ast.Constant) and EVENT.fullmatch(str(event.value)):
                events.setdefault(str(event.value), where)
            else:
                unclear.append(where)
    return events, unclear


def _loggers(node: ast.AST) -> list[str]:
    """Names that a logger is bound to, whatever they are called."""
    made = node.value.func if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) else None
    if isinstance(made, ast.Attribute) and made.attr in {"get_logger", "getLogger", "bind"}:
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _writes(call: ast.Call, loggers: set[str]) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id in loggers
    )


def test_every_event_is_a_literal_with_a_dotted_name() -> None:
    assert not logged()[1]


def test_loggers_are_made_for_modules_alone() -> None:
    """One that is not bound to a name of its module would be missed above; `logging` only sets levels of libraries."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("get_logger(") == len(re.findall(r"(?m)^log = structlog\.get_logger\(", text)), path
        assert not re.search(r"getLogger\([^)]*\)\.(?!setLevel|handlers|propagate)", text), path


def test_the_page_names_each_event_and_no_other() -> None:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_]+(?:\.[a-z_]+)+)` \| (\S.*) \|$", page)
    written = [name for name, _ in rows]
    events = logged()[0]
    lacking = [f"{name} ({where}) is not on the page" for name, where in sorted(events.items()) if name not in written]
    stale = [f"{name} is on the page and is logged nowhere" for name in written if name not in events]

    assert not lacking + stale, "\n".join(lacking + stale)
    assert len(written) == len(set(written))
