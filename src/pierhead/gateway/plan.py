"""From what HAProxy is to what it shall be, in steps that print themselves. Pure.

New servers come before old ones leave, and a server that changes its address is in maintenance while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pierhead.gateway import slots
from pierhead.gateway.layout import Layout, Mode, Pool, Server, Structure
from pierhead.model.step import Plan, Step
from pierhead.wire.haproxy import records, worker

RELOAD = "reload"
Actual = Mapping[str, Mapping[str, records.Server]]
"""Pool → server → how the worker has it now."""


def plan(wanted: Layout, loaded: Structure, actual: Actual, pools: Iterable[str]) -> Plan:
    """One reload when the structure differs, which the file of the reload then fulfils; else runtime commands for
    `pools`, the servers that become ready first."""
    if cause := difference(loaded, wanted.structure):
        return Plan((Step(RELOAD, "haproxy", cause),))
    steps = [step for name in sorted(pools) if name in wanted.pools for step in _pool(wanted.pools[name], actual)]
    return Plan(tuple(sorted(steps, key=lambda step: step.kind != Mode.READY)))


def difference(loaded: Structure, wanted: Structure) -> str:
    """What a reload has to bring, in words; empty when there is no difference."""
    if loaded == wanted:
        return ""
    parts = (
        *_named("new pool", wanted.sizes.keys() - loaded.sizes.keys()),
        *_named("pool gone", loaded.sizes.keys() - wanted.sizes.keys()),
        *_named("more slots", {n for n, size in wanted.sizes.items() if loaded.sizes.get(n, size) != size}),
        *_named("sites", {s for s, _ in loaded.sites.items() ^ wanted.sites.items()}),
        *_named("ports", {str(p) for p, _ in loaded.ports.items() ^ wanted.ports.items()}),
        *_named("names", {n for n, _ in loaded.names.items() ^ wanted.names.items()}),
        *_named("certificates or pages", {""} if loaded.material != wanted.material else ()),
    )
    return "; ".join(parts)


def held(actual: Actual) -> dict[str, tuple[slots.Key | None, ...]]:
    """What sits in the slots of a HAProxy that somebody else started, by pool."""
    return {
        pool: tuple(
            None if server.in_maintenance else (server.address, server.port)
            for server in sorted(servers.values(), key=lambda server: int(server.name[1:]))
        )
        for pool, servers in actual.items()
    }


def _pool(pool: Pool, actual: Actual) -> list[Step]:
    servers = actual.get(pool.name, {})
    steps = (_server(pool.name, server, servers.get(server.name)) for server in pool.servers)
    return [step for step in steps if step]


def _server(pool: str, wanted: Server, actual: records.Server | None) -> Step | None:
    target = f"{pool}/{wanted.name}"
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


def _named(what: str, names: Iterable[str]) -> Sequence[str]:
    found = sorted(names)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (f"{what} {', '.join(found[:3])}{more}".rstrip(),) if found else ()
