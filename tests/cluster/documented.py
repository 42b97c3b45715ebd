"""What kubectl prints, kept in the documentation: a test compares the two, and writes the page when it is asked to."""

import os
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_CONDITION = "{:<20} {:<8} {:<26} {}"
_EVENT = "{:<8} {:<26} {}"
# Names, ids and times are different each time.
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-01-31T12:00:00Z"),
    (re.compile(r"\bk\d{14}\b"), "k20260131120000"),
    (re.compile(r"\b(\w+(?:-\w+)*?)-[0-9a-f]{10}\b"), r"\1-0123456789"),
    (re.compile(r"-[0-9a-f]{8,10}-[a-z0-9]{5}\b"), "-6b8fb8fc9c-4zpwh"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0da6152bcb7f…"),
    (re.compile(r"\b\d+ s\b"), "12 s"),
    (re.compile(r"\bop-[a-z]+-[0-9a-f]+\b"), "keybearer"),
)


def check(page: str, title: str, *printed: str) -> None:
    """Raises AssertionError where the page's section `title` shows something else."""
    shown = "\n\n".join(_settled(each) for each in printed)
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    before, heading, after = text.partition(f"\n## {title}\n")
    assert heading, f"{page} has no section {title!r}"
    head, fence, rest = after.partition("```text\n")
    block, end, tail = rest.partition("\n```\n")
    assert end, f"{page}, {title!r}: there is no block of text"
    if os.environ.get("KEYBEARER_WRITE_DOCS") == "1":
        path.write_text(before + heading + head + fence + shown + end + tail, encoding="utf-8")
    else:
        # Events of the same second come in any order.
        other = set(block.splitlines()) ^ set(shown.splitlines())
        assert not other, f"{page}, {title!r}; KEYBEARER_WRITE_DOCS=1 writes it anew: {other}"


def described(text: str) -> str:
    """The conditions and events of `kubectl describe`, each in one line."""
    conditions = text.partition("  Conditions:\n")[2]
    found = re.findall(
        r"    Message: +(.*)\n(?:.*\n)*?    Reason: +(.*)\n    Status: +(.*)\n    Type: +(.*)\n", conditions
    )
    events = re.findall(r"(?m)^  (Normal|Warning) +(\S+) +.*?keybearer-operator +(.*)$", text)
    lines = [_CONDITION.format("CONDITION", "STATUS", "REASON", "MESSAGE")]
    lines += [_CONDITION.format(kind, status, reason, message) for message, reason, status, kind in found]
    lines += ["", _EVENT.format("EVENT", "REASON", "MESSAGE")]
    return "\n".join([*lines, *(_EVENT.format(*event) for event in events)])


def listed(text: str) -> str:
    """`kubectl get` without ages, its last column."""
    lines = text.splitlines()
    return "\n".join(line[: lines[0].rindex("AGE")].rstrip() for line in lines)


def _settled(text: str) -> str:
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text.rstrip()
