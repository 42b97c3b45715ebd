"""Fills the table of values in charts/keybearer/README.md from values.yaml; `--check` says whether it is up to date.

`# -- ` above a value begins its description, which plain comment lines go on with.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "keybearer"
BEGIN, END = "<!-- values -->", "<!-- end of values -->"
_KEY = re.compile(r"^( *)([A-Za-z0-9]+):")
_COMMENT = re.compile(r"^ *# ?(.*)$")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    readme = CHART / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = filled(before, (CHART / "values.yaml").read_text(encoding="utf-8"))
    if before == after:
        return 0
    if check:
        print("charts/keybearer/README.md is out of date: python charts/readme.py", file=sys.stderr)  # noqa: T201
        return 1
    readme.write_text(after, encoding="utf-8")
    return 0


def filled(readme: str, values: str) -> str:
    head, _, rest = readme.partition(BEGIN)
    tail = rest.partition(END)[2]
    rows = [f"| `{path}` | {default} | {text} |" for path, default, text in described(values)]
    table = "\n".join(["| value | default | is |", "|---|---|---|", *rows])
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def described(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, default and description of each value that has one."""
    defaults = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if found := _COMMENT.match(line):
            comment = [found[1][3:]] if found[1].startswith("-- ") else [*comment, found[1]] if comment else []
        elif found := _KEY.match(line):
            path = [step for step in path if step[0] < len(found[1])] + [(len(found[1]), found[2])]
            if comment:
                names = [name for _, name in path]
                yield ".".join(names), _shown(_at(defaults, names)), " ".join(comment).replace("|", "\\|")
            comment = []
        else:
            comment = []


def _at(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def _shown(value: Any) -> str:
    return "" if value in ("", {}, []) else f"`{json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    sys.exit(main())
