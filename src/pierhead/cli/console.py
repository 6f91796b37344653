"""What every command shows, and how it ends.

Answers go to standard output, everything else to standard error. With `--json` both carry one JSON document, in the
shape that the API uses. A command names its parameter `as_json: console.Json` and is wrapped in `@console.exits`:

    @console.exits
    async def ps(app: str = "", as_json: console.Json = False) -> None:
        console.emit(await ..., as_json)
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import importlib
import inspect
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TextIO

import typer

from pierhead.cli import table as layout
from pierhead.kit import clock, errors

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

EXIT_CODES: Mapping[type[errors.PierError], int] = {
    errors.Invalid: 2,
    errors.Denied: 3,
    errors.NotFound: 4,
    errors.Conflict: 5,
    errors.Refused: 5,
    errors.Failed: 6,
    errors.Unavailable: 7,
    errors.Broken: 70,
}
"""The first entry that an error is an instance of; 1 is left for whatever Python itself ends with."""

INTERRUPTED = 130

_CODES: Mapping[str, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_SILENT = str.maketrans("", "", "\a\b\v\f\r")
"""What would move the cursor, or ring, is left out of lines."""


def exits(command: Callable[..., Any]) -> Callable[..., None]:
    """`command`, sync or async, as Typer runs it: an error of the tree is shown and becomes its exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            if inspect.iscoroutinefunction(command):
                asyncio.run(command(*args, **kwargs))
            else:
                command(*args, **kwargs)
        except errors.PierError as error:
            fail(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return run


def exit_code(error: errors.PierError) -> int:
    """The exit code of the error's family."""
    return next((code for family, code in EXIT_CODES.items() if isinstance(error, family)), EXIT_CODES[errors.Broken])


def fail(error: errors.PierError, *, as_json: bool = False) -> None:
    """The message, each problem with its place, and the next step are on standard error."""
    if as_json:
        _line(sys.stderr, json.dumps({"error": errors.document(error)}, ensure_ascii=False))
        return
    _line(sys.stderr, ("Error: ", "bold red"), (error.message, ""))
    for problem in error.problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        _line(sys.stderr, ("  ", ""), (problem.place, "bold"), (f": {problem.reason}{hint}", ""))
    if error.hint:
        _line(sys.stderr, (error.hint, "cyan"))


def emit(value: Any, as_json: bool = False) -> None:
    """`value` is on standard output: as JSON, or a list of mappings as a table, a mapping as lines, else its text."""
    if as_json:
        _line(sys.stdout, json.dumps(value, default=plain, ensure_ascii=False, indent=2))
    elif isinstance(value, Mapping):
        pairs([(str(key), item) for key, item in value.items()])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        _emit_list(value)
    else:
        _line(sys.stdout, cell(value))


def emit_line(value: Any) -> None:
    """`value` is one line of JSON on standard output: for answers that come one by one."""
    _line(sys.stdout, json.dumps(value, default=plain, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under their column names; into a pipe or a file as wide as they are."""
    head, *drawn = layout.lines([list(columns), *([cell(value) for value in row] for row in rows)], _width())
    for line in head:
        _line(sys.stdout, (line, "bold"))
    for row in drawn:
        for line in row:
            _line(sys.stdout, line)


def pairs(items: Sequence[tuple[str, Any]]) -> None:
    """One line per name and value, the values under each other."""
    for row in layout.lines([[name, cell(value)] for name, value in items], _width()):
        for line in row:
            _line(sys.stdout, line)


def say(text: str, *, style: str = "") -> None:
    """A line for the person, on standard output."""
    _line(sys.stdout, (text, style))


def note(text: str, *, style: str = "") -> None:
    """A line about the work, on standard error, so that it never mixes with an answer."""
    _line(sys.stderr, (text, style))


def is_terminal(stream: TextIO) -> bool:
    """A person looks at it, and what was written can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def drawing() -> Any:
    """The module `cli.drawing`, for a terminal."""
    return importlib.import_module("pierhead.cli.drawing")


def cell(value: Any) -> str:
    """`value` as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(cell, value))
    return str(plain(value)) if isinstance(value, datetime | timedelta) else str(value)


def plain(value: Any) -> Any:
    """What JSON has no form for, in the form that the API uses."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _emit_list(values: Sequence[Any]) -> None:
    if values and all(isinstance(value, Mapping) for value in values):
        columns = list(dict.fromkeys(key for value in values for key in value))
        table(columns, [[value.get(column) for column in columns] for value in values])
        return
    for value in values:
        _line(sys.stdout, cell(value))


def _width() -> int | None:
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def _line(stream: TextIO, *parts: str | tuple[str, str]) -> None:
    """One line of texts, or of texts and their styles, is written and on its way."""
    is_coloured = is_terminal(stream) and not os.environ.get("NO_COLOR")
    told = [(part, "") if isinstance(part, str) else part for part in parts]
    try:
        stream.write("".join(_styled(text, style if is_coloured else "") for text, style in told) + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what Python writes at its end
        raise SystemExit(1) from None


def _styled(text: str, style: str) -> str:
    text = text.translate(_SILENT)
    codes = ";".join(str(_CODES[name]) for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text
