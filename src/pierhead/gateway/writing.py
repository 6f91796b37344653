"""The files that HAProxy reads, as text, and on disk what they declare. What did not change is not written again."""

from __future__ import annotations

import asyncio

from pierhead.gateway import loaded, render
from pierhead.gateway.frame import Frame
from pierhead.gateway.layout import Layout
from pierhead.gateway.loaded import Loaded, Records
from pierhead.kit import clock


class Writing:
    """Of one HAProxy. Used by one task at a time."""

    def __init__(self, frame: Frame, records: Records) -> None:
        self._frame, self._records = frame, records
        self._texts: render.Texts = {}
        self._head: tuple[object, object, str] = (None, None, "")

    def head(self, wanted: Layout) -> str:
        """The digest of all that only a reload changes, besides the pools."""
        if self._head[0] is not wanted.draft or self._head[1] is not wanted.material:
            self._head = (wanted.draft, wanted.material, render.head(self._frame, wanted))
        return self._head[2]

    async def write(self, wanted: Layout, *, can_add: bool) -> tuple[dict[str, str], Loaded]:
        """The files' texts, and on disk what they declare, by the mark that a worker with them will show."""
        spares = loaded.names(int(clock.now().timestamp() * 1000))
        texts = await asyncio.to_thread(render.files, self._frame, wanted, spares, self._texts)
        sizes = {name: len(found.servers) for name, found in wanted.pools.items()}
        told = Loaded(
            mark=render.mark(texts),
            head=render.head(self._frame, wanted),
            sizes={**sizes, **dict.fromkeys(spares, loaded.SPARE_SLOTS)},
            spares=spares,
            ports=tuple(wanted.structure.ports),
            maps=render.loaded_maps(self._frame, wanted),
            can_add=can_add,
        )
        await asyncio.to_thread(self._records.write, told)
        return texts, told
