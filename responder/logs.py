"""Logging: ids, hashes and reasons, never bodies or secrets (rule 71)."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from responder.config import Logging
from responder.mail import masking

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}
_CONTROLS_IN_A_TRACE = {code: escape for code, escape in _CONTROLS.items() if code != ord("\n")}


def configure(options: Logging) -> None:
    """Send structured logs to stderr, as JSON lines or for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if options.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape_controls,
            _mask_personal,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, options.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


_OURS = frozenset({"timestamp", "level"})


def _mask_personal(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a server or a library says may quote a mail: identity numbers, telephones and passwords stay out."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _OURS:
            event[key] = masking.mask(value)
    return event


def _escape_controls(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A header in a log line must not be able to forge another line or move a terminal's cursor."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = value.translate(_CONTROLS_IN_A_TRACE if key == "exception" else _CONTROLS)
    return event
