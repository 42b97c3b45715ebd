"""The table on the terminal and the measured part of docs/benchmarks.md; what explains it there is written by hand."""

from collections.abc import Sequence
from pathlib import Path

import machine
from figures import Figure

_HEADINGS = ("area", "figure", "here", "baseline", "compared", "target", "")


def line(figure: Figure) -> str:
    return "  ".join(cell for cell in _cells(figure) if cell != "–")


def table(figures: Sequence[Figure]) -> str:
    """In Markdown, its columns aligned, without those that say nothing of any figure."""
    cells = [_cells(figure) for figure in figures]
    told = [column for column in range(len(_HEADINGS)) if {row[column] for row in cells} - {"–", ""}]
    rows = [[row[column] for column in told] for row in (_HEADINGS, *cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(told))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def tell(page: Path, figures: Sequence[Figure], watch: machine.Watch, *, mark: str, keep: bool) -> None:
    """Prints them, and with `keep` writes them into the page: of a bench that runs on a cluster."""
    seen = watch.seen()
    print(f"{table(figures)}\n\n{seen}")
    if keep:
        write(page, figures, machine.hardware(), seen, mark)


def write(page: Path, figures: Sequence[Figure], facts: str, seen: str, mark: str = "measured") -> None:
    """Replaces what stands between the two marks."""
    marks = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, begin, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{page} lost its marks {' and '.join(marks)}")
    page.write_text(f"{before}{begin}\n\n{facts}\n\n{seen}\n\n{table(figures)}\n\n{end}{after}", encoding="utf-8")


def _cells(figure: Figure) -> tuple[str, ...]:
    verdict = {True: "met", False: "missed", None: ""}[figure.met]
    return (figure.area, figure.what, figure.value, figure.baseline, figure.compared, figure.target, verdict)
