"""From what HAProxy is to what it shall be, in steps that print themselves. Pure.

New servers come before the names that lead to them, and those before old servers leave. A server that changes its
address is in maintenance while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pierhead.gateway import pool as pool_
from pierhead.gateway import slots
from pierhead.gateway.layout import Mode, Pool, Server
from pierhead.gateway.loaded import Homes, Loaded
from pierhead.model.step import Plan, Step
from pierhead.wire.haproxy import records, worker

RELOAD, LEAD, REPLACE = "reload", "lead", "replace"
ONE_BY_ONE = 64
"""Entries of a map that are changed one by one; more of them replace the map."""
Actual = Mapping[str, Mapping[str, records.Server]]
"""Backend → server → how the worker has it now."""


@dataclass(frozen=True, slots=True)
class Map:
    """A map of host names or paths, as it is in the worker and as it shall be."""

    file: Path
    now: Mapping[str, str]
    wanted: Mapping[str, str]
    is_in_order: bool = False
    """The first key that matches counts, so that none can be added at its end."""

    def is_met_by(self, found: Mapping[str, str]) -> bool:
        if found is self.wanted:
            return True
        return found == self.wanted and not (self.is_in_order and list(found) != list(self.wanted))

    @property
    def changed(self) -> dict[str, str]:
        """The entries that are new or lead elsewhere."""
        return {key: value for key, value in self.wanted.items() if self.now.get(key) != value}

    @property
    def differing(self) -> list[str]:
        """The keys of entries that are new, lead elsewhere or are to go."""
        return [*self.changed, *sorted(self.now.keys() - self.wanted.keys())]

    @property
    def is_replaced(self) -> bool:
        """It is exchanged as a whole."""
        keys = self.differing
        return self.is_in_order or len(keys) > ONE_BY_ONE or not all(map(worker.is_plain, keys))


def difference(loaded: Loaded, head: str, pools: Mapping[str, Pool], homes: Homes) -> str:
    """What a reload has to bring, in words; empty when there is nothing."""
    if not loaded.mark:
        return "what HAProxy was told is not known"
    sizes = loaded.sizes
    names = {name for name in pools if name not in sizes and name not in homes.of}
    larger = {
        pool.name
        for pool in pools.values()
        if not loaded.can_add and len(pool.servers) > sizes.get(homes.backend(pool.name), len(pool.servers))
    }
    parts = (
        *_named("new pool", names),
        *_named("more slots", larger),
        *(("listeners, certificates or pages",) if loaded.head != head else ()),
    )
    return "; ".join(parts)


def plan(pools: Iterable[Pool], actual: Actual, homes: Homes, loaded: Loaded, maps: Iterable[Map] = ()) -> Plan:
    """Runtime commands for `pools` and `maps`, in the order that loses no request."""
    steps = [step for pool in pools for step in _pool(pool, homes.backend(pool.name), actual, loaded)]
    ready = sorted((step for step in steps if step.kind == Mode.READY), key=_gives_nothing)
    rest = [step for step in steps if step.kind != Mode.READY]
    return Plan((*ready, *(step for one in maps for step in _map(one)), *rest))


def _gives_nothing(step: Step) -> bool:
    """Who is to get requests comes before who gets none any more: at no moment does nobody."""
    return any(command.endswith(" weight 0") for command in step.data)


def held(actual: Actual, homes: Homes) -> dict[str, tuple[slots.Key | None, ...]]:
    """What sits in the slots of a HAProxy that somebody else started, by pool."""
    pools = {backend: pool for pool, backend in homes.of.items()}
    return {
        pools.get(backend, backend): tuple(
            None if server.in_maintenance else (server.address, server.port)
            for server in sorted(servers.values(), key=lambda server: server.number)
        )
        for backend, servers in actual.items()
    }


def _pool(pool: Pool, backend: str, actual: Actual, loaded: Loaded) -> Iterator[Step]:
    servers = actual.get(backend, {})
    for number, server in enumerate(pool.servers, 1):
        found = servers.get(server.name)
        if not found and not loaded.can_add and number > loaded.sizes.get(backend, number):
            continue  # a slot that waits for a reload
        step = _server(backend, server, found) if found or not loaded.can_add else _added(backend, pool, server)
        if step:
            yield step
    known = {server.name for server in pool.servers}
    for name, found in servers.items():
        if name not in known and (step := _server(backend, Server(name), found)):
            yield step  # a pool of which HAProxy has more slots than are needed by now


def _added(backend: str, pool: Pool, wanted: Server) -> Step | None:
    """A server that the file does not have. Without anybody in it there is no need for it."""
    if wanted.key is None:
        return None
    target = f"{backend}/{wanted.name}"
    address, port = wanted.key
    add = worker.add_server(target, address, port, wanted.weight, pool_.options(pool))
    state = () if wanted.mode == Mode.MAINT else (worker.set_state(target, wanted.mode),)
    return Step(wanted.mode, target, f"{address}:{port} weight {wanted.weight}, added", (add, *state))


def _server(backend: str, wanted: Server, actual: records.Server | None) -> Step | None:
    target = f"{backend}/{wanted.name}"
    if actual is None:
        return Step(wanted.mode, target, "not there", ())
    if wanted.key is None:
        if actual.in_maintenance:
            return None
        return Step(Mode.MAINT, target, "gone from the catalog", (worker.set_state(target, Mode.MAINT),))
    commands = _commands(target, wanted, wanted.key, actual)
    address, port = wanted.key
    return Step(wanted.mode, target, f"{address}:{port} weight {wanted.weight}", commands) if commands else None


def _commands(target: str, wanted: Server, key: slots.Key, actual: records.Server) -> tuple[str, ...]:
    if (actual.address, actual.port) != key:
        maint = () if actual.in_maintenance else (worker.set_state(target, Mode.MAINT),)
        weight = _weight(target, wanted, actual)
        return (*maint, worker.set_address(target, *key), *weight, *_state(target, wanted))
    state = () if mode(actual) == wanted.mode else _state(target, wanted)
    return (*_weight(target, wanted, actual), *state)


def mode(actual: records.Server) -> Mode:
    if actual.in_maintenance:
        return Mode.MAINT
    return Mode.DRAIN if actual.is_draining else Mode.READY


def _weight(target: str, wanted: Server, actual: records.Server) -> tuple[str, ...]:
    """The weight of a server that gets no request does not matter, and is left alone."""
    if wanted.mode != Mode.READY or actual.weight == wanted.weight:
        return ()
    return (worker.set_weight(target, wanted.weight),)


def _state(target: str, wanted: Server) -> tuple[str, ...]:
    return (worker.set_state(target, wanted.mode),)


def _map(one: Map) -> Iterator[Step]:
    if one.is_met_by(one.now):
        return
    if one.is_replaced:
        yield Step(REPLACE, one.file.name, f"{len(one.differing)} entries differ", one)
        return
    changed = one.changed
    for key, value in changed.items():
        tell = worker.set_entry if key in one.now else worker.add_entry
        yield Step(LEAD, key, f"to {value}", (tell(one.file, key, value),))
    for key in one.differing[len(changed) :]:
        yield Step(LEAD, key, "nowhere", (worker.delete_entry(one.file, key),))


def _named(what: str, names: Iterable[str]) -> Sequence[str]:
    found = sorted(names)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (f"{what} {', '.join(found[:3])}{more}".rstrip(),) if found else ()
