"""Named places where a test can stop or kill the process.

Production code says `await faults.reach("refresh.answered")`; unless a test's launcher installed a handler in its own
process, that is a dictionary look-up and nothing else. No setting or request can enable one.
"""

from collections.abc import Awaitable, Callable

Handler = Callable[[], Awaitable[None]]

_handlers: dict[str, Handler] = {}


async def reach(point: str) -> None:
    handler = _handlers.get(point)
    if handler is not None:
        await handler()


def install(point: str, handler: Handler) -> None:
    """For test launchers only."""
    _handlers[point] = handler


def clear() -> None:
    _handlers.clear()
