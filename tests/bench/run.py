"""Measures the figures that the design promises, prints them, and writes docs/benchmarks.md after a full run.

Each figure stands beside a baseline that was measured in turns with it, so that a busy machine slows both alike.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `installation`, which the tests share

import credential_read
import hot_path
import machine
import proxied_calls
import refresh_storm
import report
import revocation
import start
from figures import Figure
from workshop import Workshop, workshop

AREAS: dict[str, Callable[[Workshop], Iterator[Figure]]] = {
    "hot": hot_path.measure,
    "credential": credential_read.measure,
    "storm": refresh_storm.measure,
    "proxy": proxied_calls.measure,
    "revocation": revocation.measure,
    "start": start.measure,
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def main() -> int:
    options = _options()
    figures: list[Figure] = []
    watch = machine.Watch()
    with tempfile.TemporaryDirectory(prefix="kb-") as folder, workshop(Path(folder), quick=options.quick) as shop:
        for name in options.only or AREAS:
            print(f"{name} …", file=sys.stderr, flush=True)
            for figure in AREAS[name](shop):
                print(report.line(figure), flush=True)
                figures.append(figure)
    seen = watch.seen()
    print("\n" + report.table(figures) + "\n\n" + seen)
    if options.only is None and not options.quick:
        report.write(PAGE, figures, machine.facts(), seen)
        print(f"\nWritten to {PAGE}.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench ARGS=…")
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works; writes no page")
    parser.add_argument("--only", action="append", choices=AREAS, help="one area, may be repeated; writes no page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
