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
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pierhead.kit import clock, errors

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

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
_PIPE_WIDTH = 1 << 14
"""Lines that go into a pipe or a file are never wrapped."""


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
        _line(err, json.dumps({"error": errors.document(error)}, ensure_ascii=False))
        return
    _line(err, Text.assemble(("Error: ", "bold red"), error.message))
    for problem in error.problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        _line(err, Text.assemble("  ", (problem.place, "bold"), f": {problem.reason}{hint}"))
    if error.hint:
        _line(err, Text(error.hint, style="cyan"))


def emit(value: Any, as_json: bool = False) -> None:
    """`value` is on standard output: as JSON, or a list of mappings as a table, a mapping as lines, else its text."""
    if as_json:
        _line(out, json.dumps(value, default=plain, ensure_ascii=False, indent=2))
    elif isinstance(value, Mapping):
        pairs([(str(key), item) for key, item in value.items()])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        _emit_list(value)
    else:
        _line(out, cell(value))


def emit_line(value: Any) -> None:
    """`value` is one line of JSON on standard output: for answers that come one by one."""
    _line(out, json.dumps(value, default=plain, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under their column names, as wide as they are when standard output is no terminal."""
    _draw(grid(columns, rows))


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """The same, to be drawn."""
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(cell(value)) for value in row))
    return drawn


def pairs(items: Sequence[tuple[str, Any]]) -> None:
    """One line per name and value, the values under each other."""
    drawn = Table.grid(padding=(0, 2))
    for name, value in items:
        drawn.add_row(Text(name, style="bold"), Text(cell(value)))
    _draw(drawn)


def say(text: str, *, style: str = "") -> None:
    """A line for the person, on standard output."""
    _line(out, Text(text, style=style))


def note(text: str, *, style: str = "") -> None:
    """A line about the work, on standard error, so that it never mixes with an answer."""
    _line(err, Text(text, style=style))


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
        _line(out, cell(value))


def _draw(drawn: Table) -> None:
    if out.is_terminal:
        out.print(drawn)
        return
    wide = Console(highlight=False, width=_PIPE_WIDTH, color_system=None)
    with wide.capture() as captured:
        wide.print(drawn)
    for line in captured.get().splitlines():
        _line(out, line.rstrip())


def _line(console: Console, text: str | Text) -> None:
    console.print(text, soft_wrap=True, markup=False)
