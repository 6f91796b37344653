"""The host services of this node: what the files say, which of them leave, and what people on this machine are told.

A service leaves when its file no longer has it, or when `pier host drain` asked for it. Leaving is maintenance in the
catalog, then waiting until no gateway has a request left on it, at most its drain limit, then deregistration. The wish
of `pier host drain` is a file in the data folder: it holds until `pier host return`, also after a restart.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.agent import drain, host_state
from pierhead.agent.endpoint import Endpoint, Held
from pierhead.agent.services_folder import Folder, Found
from pierhead.agent.stopping import Begin
from pierhead.kit import clock, files
from pierhead.model import host
from pierhead.model.host import Service
from pierhead.model.instance import HOST_PREFIX
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

_KEPT = "host-files"


class Hosts:
    """`look` reads files and wishes; the loop settles the instances that it names."""

    def __init__(self, folder: Path, data: Path, consul: Consul, begin: Begin) -> None:
        self._folder, self._data, self._consul, self._begin = Folder(folder, data / _KEPT), data, consul, begin
        self._place = folder
        self._found = Found()
        self._asked: frozenset[str] = frozenset()
        self._limits: dict[str, timedelta] = {}
        """Instance → its drain limit, also of one that no file has any more."""
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._is_over: set[str] = set()
        self._told = ""
        self._has_looked = False
        self._undecided: set[str] = set()
        """Instances that were asked for while it could not be said whether they stay."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._found.services)

    def __contains__(self, instance: object) -> bool:
        return instance in self._found.services

    def knows(self, instance: str) -> bool:
        """Whether it stays can be said: what could not be read is not gone."""
        is_known = self._has_looked and (self._found.is_read or instance in self._found.services)
        if not is_known:
            self._undecided.add(instance)
        return is_known

    async def look(self) -> set[str]:
        """The instances for which something is different from what the last look saw."""
        found, asked = await asyncio.to_thread(self._read)
        before, self._found = self._found.services, found
        asked_before, self._asked = self._asked, asked
        self._limits |= {key: one.drain for key, one in found.services.items()}
        self._has_looked = True
        changed = {key for key in before.keys() | found.services.keys() if before.get(key) != found.services.get(key)}
        if found.is_read:
            changed, self._undecided = changed | self._undecided, set()
        return changed | (asked ^ asked_before)

    def stays(self, instance: str) -> Service | None:
        """The service, when it is to be registered; None when it leaves."""
        service = self._found.services.get(instance)
        if service is None or instance in self._asked:
            return None
        self._is_over.discard(instance)
        if task := self._waiting.pop(instance, None):
            task.cancel()
        return service

    def is_drained(self, instance: str) -> bool:
        """Nobody needs it any more: it can be deregistered."""
        return instance in self._is_over

    def drain(self, instance: str, endpoints: Sequence[Endpoint], over: Callable[[str], None]) -> None:
        """`over(instance)` is called once no gateway has a request left there, or its limit has passed. Idempotent."""
        if instance not in self._waiting and instance not in self._is_over:
            task = self._begin(instance, self._wait(instance, endpoints, over))
            self._waiting[instance] = task
            task.add_done_callback(lambda done: self._forget(instance, done))

    def gone(self, instance: str) -> None:
        """It is not registered any more."""
        if instance not in self._found.services:
            self._limits.pop(instance, None)
            self._is_over.discard(instance)

    def tell(self, held: Callable[[str], Iterable[Held]], refused: Mapping[str, str]) -> str:
        """People on this machine can read how every service is. What is wrong with the files; empty when nothing is."""
        text = json.dumps(self._state(held, refused), indent=2, ensure_ascii=False)
        if text != self._told:
            files.replace(host_state.file(self._data), text + "\n", mode=0o644, durable=False)
            self._told = text
        first = next((found[0] for found in self._found.problems.values() if found), None)
        if first is None:
            return ""
        count = sum(map(len, self._found.problems.values()))
        return f"{first}" + (f" and {count - 1} more (`pier host check`)" if count > 1 else "")

    async def _wait(self, instance: str, endpoints: Sequence[Endpoint], over: Callable[[str], None]) -> None:
        since = clock.now()
        outcome = await drain.until_idle(self._consul, endpoints, since + self._limits.get(instance, host.DRAIN))
        log.log(
            logging.INFO if outcome.is_idle else logging.WARNING,
            "%s has left after %.2f s: %s.",
            *(instance.removeprefix(HOST_PREFIX), (clock.now() - since).total_seconds(), outcome.reason),
        )
        self._is_over.add(instance)
        over(instance)

    def _forget(self, instance: str, done: asyncio.Task[None]) -> None:
        if self._waiting.get(instance) is done:
            del self._waiting[instance]

    def _read(self) -> tuple[Found, frozenset[str]]:
        wishes = host_state.wishes(self._data)
        asked = frozenset(f"{HOST_PREFIX}{path.name}" for path in wishes.glob("[!.]*"))
        return self._folder.look(), asked

    def _state(self, held: Callable[[str], Iterable[Held]], refused: Mapping[str, str]) -> dict[str, Any]:
        found = self._found
        known = {**found.services, **dict.fromkeys(self._waiting)}
        return {
            "folder": str(self._place),
            "problems": {name: [asdict(one) for one in wrong] for name, wrong in found.problems.items()},
            "services": [self._one(key, known[key], list(held(key)), refused.get(key, "")) for key in sorted(known)],
        }

    def _one(self, instance: str, service: Service | None, held: Sequence[Held], refused: str) -> dict[str, str]:
        there = held[0] if held else None
        address = (there.address if there else service.address if service else "") or ""
        port = there.port if there else service.port if service else 0
        return {
            "name": instance.removeprefix(HOST_PREFIX),
            "service": service.service if service else there.service if there else "",
            "address": f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
            "state": self._word(instance, service, there),
            "reason": refused or (there.output if there and there.status != "passing" else ""),
            "file": self._found.files.get(instance, ""),
        }

    def _word(self, instance: str, service: Service | None, there: Held | None) -> str:
        if service is None or instance in self._asked:
            return "draining" if there else "drained"
        if there is None:
            return "unregistered"
        return "maintenance" if there.maintenance else there.status
