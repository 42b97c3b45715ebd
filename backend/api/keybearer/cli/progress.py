"""What a long command is at: a line that changes on a terminal, and one every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

_SECONDS = 5.0


@contextmanager
def shown(first: str) -> Iterator[Callable[[str], None]]:
    if not sys.stderr.isatty():
        told = time.monotonic()

        def tell(line: str) -> None:
            nonlocal told
            if time.monotonic() - told >= _SECONDS:
                told = time.monotonic()
                typer.echo(line, err=True)

        yield tell
        return
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield status.update
