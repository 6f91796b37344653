"""A route or certificate that HAProxy itself refuses is left out, and it alone.

Which one it is is found by asking HAProxy about halves, never by guessing what it may not like. What was refused is
tried again once it is another one.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pierhead.gateway import layout, render, tls
from pierhead.gateway.frame import CONFIG, Frame
from pierhead.gateway.options import Options
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import errors, files
from pierhead.wire.haproxy import check

log = logging.getLogger(__name__)

_WORDS = re.compile(
    r"\[ALERT\]\s*\(\d+\)\s*:\s*(?:config\s*:\s*)?(?:parsing \[[^\]]*\]\s*:\s*)?"
    r"(?:'bind [^']*' in section '\w+'\s*:\s*)?(.*)"
)
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that can be left out."""

    kind: str
    """`route` or `certificate`."""
    name: str


class Quarantine:
    """What is left out, and why."""

    def __init__(self, options: Options, frame: Frame) -> None:
        self._options, self._frame = options, frame
        self._refused: dict[Unit, tuple[object, str]] = {}
        self._seen: Snapshot | None = None
        self._passed = Snapshot()

    def passed(self, snapshot: Snapshot) -> Snapshot:
        """`snapshot` without what HAProxy refused. The same objects for the same objects."""
        if not self._refused:
            return snapshot
        seen = self._seen
        if seen is None or seen.routes is not snapshot.routes or seen.material is not snapshot.material:
            self._forget(snapshot)
            self._seen, self._passed = snapshot, without(snapshot, {u: why for u, (_, why) in self._refused.items()})
        kept = self._passed
        return replace(snapshot, routes=kept.routes, refused=kept.refused, material=kept.material)

    async def search(self, snapshot: Snapshot) -> bool:
        """What HAProxy refuses of `snapshot` is left out from now on. False: nothing of it is to blame."""
        every = units(snapshot)
        if await self._refusal(without(snapshot, dict.fromkeys(every, ""))):
            return False

        async def refusal(some: Sequence[Unit]) -> str:
            return await self._refusal(without(snapshot, dict.fromkeys(set(every) - set(some), "")))

        found = await guilty(every, refusal)
        self._refused |= {unit: (_value(snapshot, unit), f"HAProxy refuses it: {why}") for unit, why in found.items()}
        self._seen = None
        for unit, why in found.items():
            log.warning("HAProxy refuses a %s; it is left out.", unit.kind, extra={"of": unit.name, "reason": why})
        return bool(found)

    def _forget(self, snapshot: Snapshot) -> None:
        """What is another one by now is not refused any more."""
        self._refused = {u: held for u, held in self._refused.items() if _value(snapshot, u) == held[0]}

    async def _refusal(self, snapshot: Snapshot) -> str:
        """What HAProxy says of a configuration with that; empty: it takes it."""
        trial = replace(self._frame, folder=self._frame.folder / "trial")
        try:
            await asyncio.to_thread(_write, trial, snapshot)
            await check.check(self._options.haproxy, trial.folder / CONFIG)
        except errors.Invalid as error:
            return words(error.message)
        finally:
            shutil.rmtree(trial.folder, ignore_errors=True)
        return ""


def _write(trial: Frame, snapshot: Snapshot) -> None:
    for name, text in render.files(trial, layout.draw(snapshot, {}, {})).items():
        files.replace(trial.folder / name, text, durable=False)


def units(snapshot: Snapshot) -> tuple[Unit, ...]:
    """All that can be left out of it: one certificate has to be there, and the gateway's own is good."""
    certificates = [name for name in snapshot.material.certificates if name != tls.SELF_MADE]
    names = [Unit("route", name) for name in snapshot.routes]
    return (*names, *(Unit("certificate", name) for name in certificates))


def without(snapshot: Snapshot, left_out: Mapping[Unit, str]) -> Snapshot:
    """`snapshot` without some, and with the reason of each."""
    routes = {name: route for name, route in snapshot.routes.items() if Unit("route", name) not in left_out}
    held = snapshot.material.certificates
    certificates = {name: pem for name, pem in held.items() if Unit("certificate", name) not in left_out}
    refused = {unit.name: why for unit, why in left_out.items() if unit.kind == "route"}
    problems = {f"certificate {unit.name}": why for unit, why in left_out.items() if unit.kind == "certificate"}
    material = snapshot.material
    if certificates != held:
        material = replace(material, certificates=certificates, problems={**material.problems, **problems})
    return replace(snapshot, routes=routes, refused={**snapshot.refused, **refused}, material=material)


async def guilty(every: Sequence[Unit], refusal: Callable[[Sequence[Unit]], Awaitable[str]]) -> dict[Unit, str]:
    """Unit → why it is refused beside those that are not. `refusal` of a set is empty when the set is taken.

    Asks about `b * log2(n)` times for `b` guilty of `n`.
    """
    innocent: list[Unit] = []
    found: dict[Unit, str] = {}

    async def judge(some: Sequence[Unit], why: str = "") -> None:
        why = why or await refusal([*innocent, *some])
        if not why:
            innocent.extend(some)
        elif len(some) == 1:
            found[some[0]] = why
        else:
            before, middle = len(found), len(some) // 2
            await judge(some[:middle])
            await judge(some[middle:], why if len(found) == before else "")  # whoever it is is in the other half

    if every:
        await judge(every)
    return found


def words(said: str) -> str:
    """The first complaint in what HAProxy printed, without places that are no one's but its own."""
    found = _WORDS.search(said)
    return (found[1] if found else said).strip()[:_LONGEST]


def _value(snapshot: Snapshot, unit: Unit) -> object:
    held: Mapping[str, object] = snapshot.routes if unit.kind == "route" else snapshot.material.certificates
    return held.get(unit.name)
