"""The worker that takes new connections, through its own socket. Commands are texts; `run` sends them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pierhead.wire.haproxy import cli, records


async def info(socket: Path) -> records.Info:
    """Who answers at `socket`. Raises: Unavailable."""
    return records.read_info(await cli.ask(socket, "show info"))


async def servers(socket: Path, backend: str = "") -> tuple[records.Server, ...]:
    """Every server of one backend, or of all."""
    return records.read_servers(await cli.ask(socket, f"show servers state {backend}".rstrip()))


async def loads(socket: Path, backend: str) -> tuple[records.Load, ...]:
    """What each server of a backend has open."""
    return records.read_loads(await cli.ask(socket, f"show stat {backend} 4 -1"))


async def frontends(socket: Path) -> tuple[str, ...]:
    """The names of what it listens for."""
    return records.read_names(await cli.ask(socket, "show stat -1 1 -1"))


async def run(socket: Path, commands: Iterable[str]) -> None:
    """The commands were carried out in order. What HAProxy thought of each is not looked at: read the state back."""
    for line in cli.lines(commands):
        await cli.ask(socket, line)


def set_address(server: str, address: str, port: int) -> str:
    """Of `<backend>/<server>`. Only in maintenance, or requests meant for the old one reach the new one."""
    return f"set server {server} addr {address} port {port}"


def set_weight(server: str, weight: int) -> str:
    return f"set server {server} weight {weight}"


def set_state(server: str, state: str) -> str:
    """`ready`, `drain` or `maint`."""
    return f"set server {server} state {state}"
