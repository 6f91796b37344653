"""The worker that takes new connections, through its own socket. Commands are texts; `run` sends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.haproxy import cli, records


async def info(socket: Path) -> records.Info:
    """Who answers at `socket`. Raises: Unavailable."""
    return records.read_info(await cli.ask(socket, "show info"))


async def servers(socket: Path, backend: str = "") -> tuple[records.Server, ...]:
    """Every server of one backend, or of all."""
    return records.read_servers(await cli.ask(socket, f"show servers state {backend}".rstrip()))


async def servers_text(socket: Path) -> str:
    """Every server of all backends, for `records.read_servers`, which takes a while where there are many."""
    return await cli.ask(socket, "show servers state")


async def servers_of(socket: Path, backends: Sequence[str]) -> tuple[records.Server, ...]:
    """Every server of these backends; of those that do not exist none."""
    lines = cli.lines(f"show servers state {backend}" for backend in backends)
    return records.read_servers("\n".join([await cli.ask(socket, line) for line in lines]))


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


def add_server(server: str, address: str, port: int, weight: int, options: str = "") -> str:
    """One more server, in maintenance. Its number is its id, without which HAProxy may leave it out of hashes."""
    host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    number = server.rsplit("/s", 1)[1]
    return f"add server {server} {host} id {number} weight {weight}{options}"


def is_plain(text: str) -> bool:
    """It can be a word of a command as it is."""
    return cli.PLAIN.fullmatch(text) is not None


def add_entry(file: Path, key: str, value: str) -> str:
    """Of a map. HAProxy does not look whether the key is there already: then the first one counts."""
    return f"add map {cli.word(file)} {key} {value}"


def set_entry(file: Path, key: str, value: str) -> str:
    return f"set map {cli.word(file)} {key} {value}"


def delete_entry(file: Path, key: str) -> str:
    return f"del map {cli.word(file)} {key}"


async def entry(socket: Path, file: Path, key: str) -> str | None:
    """The value of exactly that key. None: the map has none, or there is no such map."""
    return records.read_entry(await cli.ask(socket, f"get map {cli.word(file)} {key}"), key)


async def entries(socket: Path, file: Path) -> dict[str, str]:
    """A map, in its order; empty also when there is no such map."""
    return records.read_entries(await cli.ask(socket, f"show map {cli.word(file)}"))


async def replace_map(socket: Path, file: Path, wanted: Mapping[str, str]) -> None:
    """The map has these entries and no others, all at once. Raises: Unavailable (there is no such map)."""
    name = cli.word(file)
    version = records.read_version(await cli.ask(socket, f"prepare map {name}"))
    if version is None:
        raise errors.Unavailable(f"HAProxy has no map {file}")
    for payload in cli.payloads(f"{key} {value}" for key, value in wanted.items()):
        await cli.ask(socket, f"add map @{version} {name} <<\n{payload}\n")
    await cli.ask(socket, f"commit map @{version} {name}")
