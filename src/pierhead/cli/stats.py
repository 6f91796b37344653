"""`pier stats`: what instances use."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from pierhead.cli import console, following, session

app = typer.Typer()

_COLUMNS = ("INSTANCE", "APP", "ENVIRONMENT", "RELEASE", "CPU", "MEMORY", "LIMIT", "RECEIVED", "SENT", "PROCESSES")


@app.command()
@console.exits
async def stats(
    name: Annotated[str, typer.Argument(help="Only this app.")] = "",
    environment: Annotated[str, typer.Option("--environment", "-e", help="Only this environment.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Every second, until interrupted.")] = False,
    as_json: console.Json = False,
) -> None:
    """Show what instances use: processors, memory, network."""
    query: dict[str, str | int] = {"app": name, "environment": environment, "follow": str(follow).lower()}
    async with session.connected() as api:
        found = following.events(api, "/stats", query)
        if not follow:
            uses = sorted([use async for use in found], key=_order)
            if as_json:
                console.emit(uses, as_json)
            else:
                console.table(_COLUMNS, [_row(use) for use in uses])
        elif as_json or not console.is_terminal(sys.stdout):
            async for use in found:
                console.emit_line(use)
        else:
            seen: dict[str, Mapping[str, Any]] = {}
            drawing = console.drawing()
            with drawing.live(answer=True) as live:
                async for use in found:
                    seen[use["instance"]] = use
                    rows = [_row(one) for one in sorted(_fresh(seen.values(), use["at"]), key=_order)]
                    live.update(drawing.grid(_COLUMNS, rows), refresh=True)


def _fresh(uses: Any, at: str) -> Sequence[Mapping[str, Any]]:
    """Without those that have said nothing in the minute of `at`: they have ended."""
    return [use for use in uses if use["at"][:16] >= at[:16]]


def _order(use: Mapping[str, Any]) -> tuple[str, ...]:
    return use["app"], use["environment"], use["release"], use["instance"]


def _row(use: Mapping[str, Any]) -> Sequence[str]:
    return (
        use["instance"][:12],
        use["app"],
        use["environment"],
        use["release"],
        f"{use['cpus']:.2f}",
        *(_size(use[key]) for key in ("memory_bytes", "memory_limit_bytes", "received_bytes", "sent_bytes")),
        str(use["processes"]),
    )


def _size(count: int) -> str:
    """As a person reads it, rounded."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f}{unit}" if unit == "B" else f"{size:.1f}{unit}"
