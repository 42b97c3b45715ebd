"""Logs: one JSON object a line, ours and kopf's. Messages are static event names; data is in fields."""

import logging
import sys
from typing import Any

import structlog


def configure(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, renderer]))
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for chatty in ("httpx2", "httpcore2", "aiohttp.access", "kopf.objects", "kopf._core.engines.posting"):
        logging.getLogger(chatty).setLevel(max(number, logging.WARNING))
