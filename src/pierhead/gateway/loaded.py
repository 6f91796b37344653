"""What the file that the worker read declares: what nothing but a reload changes, and where each pool is in it.

It is kept on disk beside the file, by the mark that the worker itself shows, so that the next controller knows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pierhead.gateway.layout import Pool
from pierhead.kit import files
from pierhead.model.app import Protocol
from pierhead.model.policy import PLAIN

SPARES, SPARE_SLOTS = 16, 16
"""Backends that wait for services that do not exist yet, and the slots of each."""
FEW_SPARES = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    mark: str = ""
    """Which file it is; empty: nobody knows what it declares."""
    head: str = ""
    """The digest of all of the file that is no backend."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Backend → its slots, spare ones included."""
    spares: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    maps: tuple[str, ...] = ()
    can_add: bool = False
    """Servers can be added to a backend that has no slot left."""


@dataclass(slots=True)
class Homes:
    """Pools that do not have the backend of their own name, because they came after the file: pool → backend."""

    of: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Spare backends that some pool had or has; none is used twice, because requests of the first may still run."""
    former: dict[str, set[str]] = field(default_factory=dict)
    """Pool → backends that it has had in workers that may still finish their connections."""

    def backend(self, pool: str) -> str:
        return self.of.get(pool, pool)

    def everywhere(self, pool: str) -> set[str]:
        """The backends that it may have in any worker."""
        return {pool, self.backend(pool), *self.former.get(pool, ())}

    def seat(self, pools: Iterable[Pool], loaded: Loaded) -> list[str]:
        """Pools that the file does not have get a spare backend each, as far as there are any that suit them. Those
        that got one are returned."""
        free = (spare for spare in loaded.spares if spare not in self.used)
        found = []
        for pool in pools:
            if pool.name in loaded.sizes or pool.name in self.of or not _suits(pool):
                continue
            backend = next(free, "")
            if not backend:
                break
            self.of[pool.name] = backend
            self.used.add(backend)
            found.append(pool.name)
        return found

    def moved(self, *, is_forgotten: bool) -> None:
        """A new file has a backend for every pool. `is_forgotten`: no older worker is left."""
        if is_forgotten:
            self.former.clear()
        for pool, backend in self.of.items():
            self.former.setdefault(pool, set()).add(backend)
        self.of, self.used = {}, set()


def _suits(pool: Pool) -> bool:
    return pool.protocol == Protocol.HTTP and pool.policy == PLAIN and len(pool.servers) <= SPARE_SLOTS


def free(homes: Homes, loaded: Loaded) -> int:
    """The spare backends that are left."""
    return len(loaded.spares) - len(homes.used)


def names(generation: int) -> tuple[str, ...]:
    """The spare backends of a file; no two files have the same."""
    return tuple(f"spare:{generation:x}:{number}" for number in range(1, SPARES + 1))


class Records:
    """The folder where it is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, loaded: Loaded) -> None:
        """It is found by its mark from now on. Blocks."""
        files.replace(self._file(loaded.mark), json.dumps(asdict(loaded)))

    def write_homes(self, mark: str, homes: Homes) -> None:
        value = {"of": homes.of, "used": sorted(homes.used), "former": {k: sorted(v) for k, v in homes.former.items()}}
        files.replace(self._file(f"{mark}.homes"), json.dumps(value))

    def read(self, mark: str) -> tuple[Loaded, Homes]:
        """What was kept by that mark, or that nothing is known."""
        try:
            value = json.loads(self._file(mark).read_text())
            loaded = Loaded(**{**value, **{key: tuple(value[key]) for key in ("spares", "ports", "maps")}})
        except (OSError, ValueError, TypeError, KeyError):
            return Loaded(), Homes()
        try:
            kept = json.loads(self._file(f"{mark}.homes").read_text())
            former = {pool: set(backends) for pool, backends in kept["former"].items()}
            return loaded, Homes(kept["of"], set(kept["used"]), former)
        except FileNotFoundError:  # no pool has come since
            return loaded, Homes()
        except (OSError, ValueError, TypeError, KeyError):
            return loaded, Homes(used=set(loaded.spares))

    def keep_only(self, mark: str) -> None:
        """The files of other marks are gone."""
        for path in self._folder.glob("*.json"):
            if path.name.split(".")[0] != mark:
                path.unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"
