"""The page of the reference that lists every command, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from pierhead.cli import main


def markdown() -> str:
    """Every command with what it does, its arguments and its options."""
    parts = ["# Commands", "", "Generated from the code. `pier COMMAND --help` says the same.", ""]
    parts.append("Exit codes are in [operations](../operations.md#exit-codes).")
    for name in [*main.COMMANDS, *main.GROUPS]:
        for path, one in _leaves(f"pier {name}", main.find(name)):
            parts += ["", f"## {path}", "", " ".join((one.help or "").split()), "", *_parameters(one)]
    return "\n".join(parts).rstrip() + "\n"


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    for name, one in command.commands.items():
        yield from _leaves(f"{path} {name}", one)


def _parameters(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.name == "help":
            continue
        is_option = one.param_type_name == "option"
        shown = ", ".join(f"`{text}`" for text in one.opts) if is_option else f"`{one.name.upper()}`"
        yield f"- {shown}: {one.help or ''}".rstrip(": ")
