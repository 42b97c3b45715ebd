"""docs/troubleshooting.md has a heading for each problem code, and for nothing else.

The codes are read from the source. So that none can hide, every use of an error class must be one that is understood
here: a construction whose code can be followed to literals, or a place that only names the class. Anything else fails.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastapi import Request
from keybearer.http import problems
from keybearer.kit import errors
from starlette.exceptions import HTTPException

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "backend" / "api" / "keybearer"
PAGE = ROOT / "docs" / "troubleshooting.md"
# These only ask what an error is.
NAMING_CALLS = frozenset({"isinstance", "issubclass", "suppress", "add_exception_handler"})
# One code for each status that only the framework gives; the page describes them together.
FAMILY = "http_nnn"

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Codes:
    found: dict[str, str] = field(default_factory=dict)
    unfollowed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Module:
    path: str
    nodes: list[ast.AST]
    parents: dict[ast.AST, ast.AST]

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def where(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', '?')}"


def parse(text: str, path: str) -> Module:
    nodes = list(ast.walk(ast.parse(text)))
    return Module(path, nodes, {child: node for node in nodes for child in ast.iter_child_nodes(node)})


def parsed_source() -> list[Module]:
    return [
        parse(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) for path in sorted(SOURCE.rglob("*.py"))
    ]


def collect(modules: list[Module]) -> Codes:
    """Every code that an error of the package can be made with."""
    codes = Codes()
    classes = error_classes(modules)
    # Where a function hands its own argument on as the code, each call of it is a construction too.
    makers: dict[str, int | None] = dict.fromkeys(classes, 0)
    while True:
        before = dict(makers)
        codes.unfollowed.clear()
        for module in modules:
            for call in (node for node in module.nodes if isinstance(node, ast.Call)):
                if is_maker(module, call, makers, classes):
                    follow(module, call, maker_position(module, call, makers), makers, codes)
        if makers == before:
            break
    codes.unfollowed += [where for module in modules for where in strange_uses(module, classes)]
    return codes


def error_classes(modules: list[Module]) -> set[str]:
    classes = {errors.KeybearerError.__name__}
    while True:
        before = len(classes)
        for module in modules:
            for node in module.nodes:
                if isinstance(node, ast.ClassDef) and any(last_name(base) in classes for base in node.bases):
                    classes.add(node.name)
                if isinstance(node, ast.ImportFrom):
                    classes |= {alias.asname for alias in node.names if alias.name in classes and alias.asname}
        if len(classes) == before:
            return classes


def is_maker(module: Module, call: ast.Call, makers: dict[str, int | None], classes: set[str]) -> bool:
    if isinstance(call.func, ast.Call):  # type(error)(error.code, …) copies an error
        return last_name(call.func.func) == "type" and bool(call.args)
    if is_parents_init(call):
        around = next((node.name for node in module.above(call) if isinstance(node, ast.ClassDef)), None)
        return around in classes - {errors.KeybearerError.__name__}
    return last_name(call.func) in makers


def maker_position(module: Module, call: ast.Call, makers: dict[str, int | None]) -> int:
    return makers.get(last_name(call.func) or "", 0) or 0


def is_parents_init(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "__init__"
        and isinstance(function.value, ast.Call)
        and last_name(function.value.func) == "super"
    )


def follow(module: Module, call: ast.Call, position: int, makers: dict[str, int | None], codes: Codes) -> None:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    if not given and len(call.args) > position:
        given = [call.args[position]]
    if not given or any(isinstance(argument, ast.Starred) for argument in call.args):
        codes.unfollowed.append(f"{module.where(call)}: the code is not where it should be")
        return
    resolve(module, given[0], makers, codes)


def resolve(module: Module, value: ast.expr, makers: dict[str, int | None], codes: Codes) -> None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        codes.found.setdefault(value.value, module.where(value))
    elif isinstance(value, ast.IfExp):
        resolve(module, value.body, makers, codes)
        resolve(module, value.orelse, makers, codes)
    elif isinstance(value, ast.BoolOp):
        for each in value.values:
            resolve(module, each, makers, codes)
    elif isinstance(value, ast.Attribute) and value.attr == "code":
        return  # the code of an error that was made elsewhere
    elif not (isinstance(value, ast.Name) and is_own_argument(module, value, makers)):
        codes.unfollowed.append(f"{module.where(value)}: `{ast.unparse(value)}` cannot be followed to a code")


def is_own_argument(module: Module, name: ast.Name, makers: dict[str, int | None]) -> bool:
    """Whether the code is an argument of the function around it, which then counts as a maker itself."""
    function = next((node for node in module.above(name) if isinstance(node, FUNCTION)), None)
    if function is None or name.id not in (arguments := [each.arg for each in function.args.args]):
        return False
    position = arguments.index(name.id)
    inside = module.parents[function]
    if isinstance(inside, ast.ClassDef):
        position -= 1
        if function.name == "__init__":
            return position == 0  # an error class takes the code first, as `collect` presumes
    makers.setdefault(function.name, position)
    return makers[function.name] == position


def strange_uses(module: Module, classes: set[str]) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and last_name(node) in classes:
            if isinstance(module.parents[node], ast.Attribute) and last_name(module.parents[node]) in classes:
                continue
            if not is_understood(module, node):
                yield f"{module.where(node)}: `{ast.unparse(node)}` is used in a way that hides codes from this test"
        stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == "code"
        if stored and last_name(node.value) != "self":
            yield f"{module.where(node)}: the code of an error is replaced"


def is_understood(module: Module, node: ast.AST) -> bool:
    child = node
    for parent in module.above(node):
        if isinstance(parent, ast.Call):
            return parent.func is child or last_name(parent.func) in NAMING_CALLS
        if isinstance(parent, ast.ExceptHandler):
            return parent.type is child
        if isinstance(parent, ast.MatchClass):
            return parent.cls is child
        if isinstance(parent, ast.ClassDef):
            return child in parent.bases
        if isinstance(parent, ast.arg):
            return True
        if isinstance(parent, FUNCTION):
            return parent.returns is child
        if isinstance(parent, ast.AnnAssign):
            statuses = module.path.endswith("http/problems.py") and last_name(parent.target) == "_STATUSES"
            return parent.annotation is child or statuses
        if isinstance(parent, ast.stmt):
            return False
        child = parent
    return False


def last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


async def framework_codes() -> set[str]:
    """What the one maker of problem bodies says where no error of ours was raised."""
    found = {json.loads(bytes(problems.internal().body))["code"]}
    request = Request({"type": "http"})
    for status in range(400, 600):
        answer = await problems._http_exception(request, HTTPException(status))
        code = json.loads(bytes(answer.body))["code"]
        found.add(FAMILY if code == f"http_{status}" else code)
    return found


def front_codes() -> dict[str, str]:
    """What the web server in front refuses by itself."""
    templates = ROOT / "frontend-proxy" / "nginx" / "templates"
    codes = {
        code: path.name
        for path in sorted(templates.glob("*.template"))
        for code in re.findall(r"set \$code ([a-z0-9_]+);", path.read_text(encoding="utf-8"))
    }
    assert codes
    return {FAMILY if re.fullmatch(r"http_\d+", code) else code: where for code, where in codes.items()}


STATE_REASON = re.compile(r"""state_reason["']?\s*(?:=|:)(?!=)\s*([^\n]+?),?\s*(?:\n|epoch|lease_until|updated_at)""")
PASSED_ON = frozenset({
    "None", "reason", "str | None", "Column", "connection.state_reason", 'record["state_reason"]', ":reason",
    "coalesce(:reason, state_reason)",
})  # fmt: skip


def state_reasons(modules: list[Module]) -> Codes:
    """Why a connection is in the state it is in: what is handed to the three writers of that column."""
    codes = Codes()
    fields = {"Rejected": 0}
    for module in modules:
        if "/vault/" not in module.path:
            continue
        for node in module.nodes:
            if isinstance(node, ast.ClassDef) and node.name in fields:
                literal = next(each for each in node.body if isinstance(each, ast.AnnAssign))
                for value in ast.walk(literal.annotation):
                    if isinstance(value, ast.Constant):
                        codes.found.setdefault(str(value.value), module.where(value))
            if not isinstance(node, ast.Call):
                continue
            if last_name(node.func) == "Renewed":
                resolve_reason(module, next(each.value for each in node.keywords if each.arg == "reason"), codes)
            if last_name(node.func) in {"expire", "needs_reconnect"} and node.args:
                resolve_reason(module, node.args[-1], codes)
    return codes


def resolve_reason(module: Module, value: ast.expr, codes: Codes) -> None:
    if isinstance(value, ast.IfExp):
        resolve_reason(module, value.body, codes)
        resolve_reason(module, value.orelse, codes)
    elif isinstance(value, ast.Constant) and value.value is None:
        return
    elif isinstance(value, ast.Constant):
        codes.found.setdefault(str(value.value), module.where(value))
    elif not (isinstance(value, ast.Attribute) and value.attr == "state_reason") and last_name(value) != "reason":
        codes.unfollowed.append(f"{module.where(value)}: `{ast.unparse(value)}` cannot be followed to a reason")


def codes_on_the_page() -> list[str]:
    codes_part = PAGE.read_text(encoding="utf-8").partition("\n# Start-up")[0]
    return [heading.strip("`") for heading in re.findall(r"(?m)^## (.+)$", codes_part)]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return parsed_source()


@pytest.fixture(scope="module")
def categories() -> Module:
    return parse((SOURCE / "kit" / "errors.py").read_text(encoding="utf-8"), "kit/errors.py")


@pytest.fixture(scope="module")
def made(modules: list[Module]) -> Codes:
    return collect(modules)


def test_every_code_in_the_source_can_be_followed(modules: list[Module], made: Codes) -> None:
    unfollowed = made.unfollowed + state_reasons(modules).unfollowed

    assert not unfollowed, "\n".join(unfollowed)


async def test_the_page_has_each_code_and_no_other(modules: list[Module], made: Codes) -> None:
    codes = dict.fromkeys(await framework_codes(), "the framework") | made.found | state_reasons(modules).found
    codes |= front_codes()
    written = codes_on_the_page()
    lacking = [f"{code} ({where}) has no heading" for code, where in sorted(codes.items()) if code not in written]
    stale = [f"{code} has a heading and is no code" for code in written if code not in codes]

    assert not lacking + stale, "\n".join(lacking + stale)
    assert written == sorted(set(written)), "headings are alphabetical, each once"


def test_each_paragraph_says_enough() -> None:
    codes_part = PAGE.read_text(encoding="utf-8").partition("\n# Start-up")[0]
    sections = re.split(r"(?m)^## ", codes_part)[1:]
    thin = [section.partition("\n")[0] for section in sections if len(section.split()) < 20]

    assert not thin


def test_statuses_are_given_to_codes_that_exist(made: Codes) -> None:
    assert problems._STATUS_OF_CODE.keys() <= made.found.keys()


def test_problem_bodies_and_refusal_headers_are_made_in_one_place(modules: list[Module]) -> None:
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.Constant) and node.value == problems.MEDIA_TYPE:
                assert module.path.endswith(("http/problems.py", "http/schemas.py")), module.where(node)
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and str(key.value).lower() == "keybearer-error":
                        assert last_name(value) == "code", module.where(node)


def test_state_reasons_are_written_by_the_known_writers_alone() -> None:
    for path in (SOURCE / "vault").rglob("*.py"):
        for value in STATE_REASON.findall(path.read_text(encoding="utf-8")):
            assert value.startswith(tuple(PASSED_ON)), f"{path.name} writes the state reason {value}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise NotFound('a', 'b')", "a"),
        ("raise errors.NotFound(code='a', detail='b')", "a"),
        ("def refuse(how, code):\n  return NotFound(code, how)\nrefuse('b', 'a')", "a"),
        ("class Gone(NotFound): ...\nclass Lost(Gone): ...\nraise Lost('a', 'b')", "a"),
        ("class Gone(NotFound):\n  def __init__(self):\n    super().__init__('a', 'b')", "a"),
        ("from x import NotFound as Gone\nraise Gone('a', 'b')", "a"),
    ],
)
def test_a_new_code_is_noticed(categories: Module, text: str, code: str) -> None:
    found = collect([categories, parse(text, "new.py")])

    assert found.found.get(code, "").startswith("new.py")
    assert not found.unfollowed


@pytest.mark.parametrize(
    "text",
    [
        "raise NotFound(words[0], 'b')",
        "raise NotFound(f'a_{x}', 'b')",
        "raise NotFound(*both)",
        "Gone = NotFound",
        "kinds = {1: NotFound}\nraise kinds[1]('a', 'b')",
        "make(NotFound, 'a')",
        "error = NotFound('x', 'b')\nerror.code = 'a'",
    ],
)
def test_a_hidden_code_is_refused(categories: Module, text: str) -> None:
    assert any(where.startswith("new.py") for where in collect([categories, parse(text, "new.py")]).unfollowed)
