"""The maps from names to backends: what HAProxy has of them, what they are to be, and what lies between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pierhead.gateway import plan, render
from pierhead.gateway.frame import IN_ORDER, Frame
from pierhead.gateway.layout import Layout
from pierhead.gateway.loaded import Homes, Loaded
from pierhead.kit import files
from pierhead.wire.haproxy import worker


class Maps:
    """Used by one task at a time; others only read."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.held: dict[str, Mapping[str, str]] = {}
        """File → key → where it leads, as HAProxy had it when it was last read."""
        self._shall: tuple[object, object, object, dict[str, dict[str, str]]] | None = None
        """The maps as they are to be, after what they follow from."""

    async def read(self, loaded: Loaded) -> None:
        """All that HAProxy has is known."""
        folder = self._frame.folder
        self.held = {name: await worker.entries(self._frame.worker, folder / name) for name in loaded.maps}

    def loaded_with(self, layout: Layout) -> None:
        """HAProxy has just read the files that were written for `layout`."""
        self.held = {**render.maps(layout, {})}

    def plans(self, wanted: Layout, loaded: Loaded, homes: Homes) -> list[plan.Map]:
        """Each map as it is and as it shall be, with nothing that leads where there is no backend yet."""
        basis = (wanted.structure, loaded, dict(homes.of))
        if self._shall is None or self._shall[0] is not basis[0] or self._shall[1:3] != basis[1:]:
            self._shall = (*basis, self._wanted(wanted, loaded, homes))
        found = [self._plan(name, self._shall[3][name]) for name in loaded.maps]
        for one in found:  # equal maps become the same object, so that the next comparison does not read them
            if one.is_met_by(one.now):
                self.held[one.file.name] = one.wanted
        return found

    async def read_back(self, changed: Iterable[plan.Map]) -> None:
        """What HAProxy has of these is known."""
        for one in changed:
            found = await worker.entries(self._frame.worker, one.file) if one.is_replaced else await self._asked(one)
            self.held[one.file.name] = one.wanted if one.is_met_by(found) else found

    def _wanted(self, wanted: Layout, loaded: Loaded, homes: Homes) -> dict[str, dict[str, str]]:
        return render.with_backends(render.maps(wanted, homes.of), loaded.sizes)

    def _plan(self, name: str, shall: Mapping[str, str]) -> plan.Map:
        return plan.Map(self._frame.folder / name, self.held.get(name, {}), shall, name in IN_ORDER)

    async def _asked(self, one: plan.Map) -> dict[str, str]:
        """The map, of which only those entries are asked for that were to change."""
        found = dict(one.now)
        for key in one.differing:
            value = await worker.entry(self._frame.worker, one.file, key)
            found.pop(key, None)
            found |= {key: value} if value is not None else {}
        return found


def write(maps: Iterable[plan.Map]) -> None:
    """The files say what the maps are to be. Blocks."""
    for one in maps:
        files.replace(one.file, render.text_of(one.wanted), durable=False)
