"""Logging set up once per process: a sentence a line, its fields behind it."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO

from pierhead.kit import clock

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a call gave as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class Sentence(logging.Formatter):
    """`2026-11-23T06:10:15.123Z INFO gateway: Applied 3 changes. index=42`"""

    def format(self, record: logging.LogRecord) -> str:
        at = clock.text(clock.moment(record.created))
        name = record.name.removeprefix("pierhead.")
        extra = "".join(f" {key}={value}" for key, value in fields(record).items())
        line = f"{at} {record.levelname} {name}: {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Json(logging.Formatter):
    """One JSON object a line, for a log collector."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": clock.text(clock.moment(record.created)),
            "level": record.levelname,
            "name": record.name,
            "message": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def start(level: str = "INFO", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Everything at `level` and above is written to `stream` (standard error by default)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json() if as_json else Sentence())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
