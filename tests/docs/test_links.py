"""Links and anchors of README and docs lead somewhere, and the commands that they show exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from keybearer.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Made from the running product: the first by a browser, the second by `make bench`.
GENERATED = frozenset({"docs/benchmarks.md"})

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"(?ms)^ *```(\w*)\n(.*?)^ *```")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, punctuation dropped, spaces to dashes."""
    headings = re.findall(r"(?m)^#{1,6} (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Each simple command of a shell example, with where it stands."""
    for page in PAGES:
        for language, text in FENCED.findall(page.read_text(encoding="utf-8")):
            if language not in {"sh", "console"}:
                continue
            for line in text.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|\||;|\|", line.removeprefix("$ ")):
                    yield f"{page.relative_to(ROOT)}: {line.strip()}", _words(part)


def _words(part: str) -> list[str]:
    try:
        words = shlex.split(part, comments=True)
    except ValueError:  # a quoted text was cut above; what stands before it is enough here
        words = part.split()
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words


def shown(program: str) -> list[tuple[str, list[str]]]:
    found = [(where, words) for where, words in command_lines() if words and Path(words[0]).name == program]
    return found + [
        (f"{page.relative_to(ROOT)}: `{text}`", _words(text))
        for page in PAGES
        for text in re.findall(rf"`((?:[A-Z_]+=\S+ )?{program} [^`]+)`", prose(page))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if path and str(target.relative_to(ROOT)) in GENERATED:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert not broken


def test_shown_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", makefile))
    variables = set(re.findall(r"(?m)^([A-Z]+) \?=", makefile))
    commands = shown("make")
    wrong = [
        where
        for where, words in commands
        for word in words[1:]
        if word.partition("=")[0] not in (variables if "=" in word else targets)
    ]

    assert commands
    assert not wrong


def test_shown_keybearer_commands_and_options_exist() -> None:
    commands = shown("keybearer")
    wrong = [f"{where}: {problem}" for where, words in commands if (problem := _problem(words[1:]))]

    assert commands
    assert not wrong, "\n".join(wrong)


def _problem(words: list[str]) -> str | None:
    command = typer.main.get_command(app)
    words = words[: words.index("--")] if "--" in words else words
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}]
    return f"there is no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("words", [["fly"], ["serve", "--wings"], ["ledger", "fly"], ["ledger", "verify", "--wings"]])
def test_a_command_that_does_not_exist_is_noticed(words: list[str]) -> None:
    assert _problem(words)
