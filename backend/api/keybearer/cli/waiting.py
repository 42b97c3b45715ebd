"""Waits for what another part of the installation makes, and says for what whenever that changes."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import typer

from keybearer.kit.errors import NotReady

_PAUSE_SECONDS = 0.5

Result = TypeVar("Result")


async def until_ready(
    attempt: Callable[[], Awaitable[Result]],
    *,
    seconds: int,
    passing: type[NotReady] = NotReady,
    at_last: str = "",
) -> Result:
    """What `attempt` returns, once it no longer raises `passing`; any other error ends the waiting.

    Raises NotReady after `seconds`, with `at_last` added to what can be done.
    """
    deadline, said = time.monotonic() + seconds, None
    while True:
        try:
            return await attempt()
        except passing as error:
            if time.monotonic() >= deadline:
                reason = f"Waited {seconds} seconds in vain. {error.reason}" if seconds else error.reason
                raise NotReady(reason, f"{error.advice} {at_last}".rstrip()) from error
            if error.reason != said:
                said = error.reason
                typer.echo(f"waiting: {said}")
        await asyncio.sleep(_PAUSE_SECONDS)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Ends at SIGTERM too, which the first process of a container is spared unless it asks for it."""

    async def interruptible() -> Result:
        task = asyncio.current_task()
        assert task is not None, "it runs in one"
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None
