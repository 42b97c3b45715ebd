"""Runs a command on one core: `python pinned.py 0 command …`. Servers get one core and what loads them the other."""

import os
import sys

SERVER_CORE = 0
LOAD_CORE = 1


def to(core: int) -> None:
    """Where the system can pin and has the core."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def command(core: int, *words: str) -> list[str]:
    return [sys.executable, __file__, str(core), *words]


if __name__ == "__main__":
    to(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
