"""What changes in its place on a terminal: a spinner, a table that is drawn again and again.

Rich does it, and needs longer to load than most commands to do their work: `console.drawing` loads this file when there
is something to draw, and no other file imports it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


def spinner() -> Status:
    """On standard error, above it what is said meanwhile."""
    return Console(stderr=True, highlight=False).status("")


def live(*, answer: bool) -> Live:
    """What is drawn last replaces what was drawn before: an answer, which stays, or news, which go at the end."""
    return Live(console=Console(stderr=not answer, highlight=False), auto_refresh=False, transient=not answer)


def grid(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold", show_header=bool(columns))
    for row in rows:
        drawn.add_row(*(Text(*((cell,) if isinstance(cell, str) else cell)) for cell in row))
    return drawn
