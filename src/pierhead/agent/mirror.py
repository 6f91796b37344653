"""What the catalog holds of this node, as the agent knows it: what it last read, and what it has written since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pierhead.agent.endpoint import Held
from pierhead.agent.plan import Wanted
from pierhead.model.instance import Meta


class Mirror:
    """Empty and not `is_known` until the catalog was read once."""

    def __init__(self) -> None:
        self.is_known = False
        self._held: dict[str, Held] = {}
        self._written: dict[str, int] = {}
        self._version = 0
        self._read: Mapping[str, Held] | None = None
        """The last reading: the mirror is that as long as nothing was written since."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def version(self) -> int:
        """Take it before reading the catalog, and give it to `read`."""
        return self._version

    def of(self, instance: str) -> list[Held]:
        return [one for one in self._held.values() if _instance(one) == instance]

    def all(self) -> Iterable[Held]:
        return self._held.values()

    def get(self, service_id: str) -> Held | None:
        return self._held.get(service_id)

    def instances(self) -> set[str]:
        return {_instance(one) for one in self._held.values()}

    def put(self, held: Held) -> None:
        """The catalog was told so."""
        self._held[held.id] = held
        self._stamp(held.id)

    def drop(self, service_id: str) -> None:
        """The catalog was told so."""
        self._held.pop(service_id, None)
        self._stamp(service_id)

    def read(self, found: Mapping[str, Held], version: int) -> set[str]:
        """The mirror is what was read, except what was written after `version`. The instances that it differs for."""
        if found is self._read and not self._written:
            return set()
        newer = {key for key, at in self._written.items() if at > version}
        merged = {key: held for key, held in found.items() if key not in newer}
        merged |= {key: held for key, held in self._held.items() if key in newer}
        changed = {key for key in merged.keys() | self._held.keys() if merged.get(key) != self._held.get(key)}
        instances = {_instance(one) for key in changed for one in (merged.get(key), self._held.get(key)) if one}
        self._held, self._written, self.is_known = merged, {key: self._written[key] for key in newer}, True
        self._read = found
        return instances

    def _stamp(self, service_id: str) -> None:
        self._version += 1
        self._written[service_id] = self._version


def after(wanted: Wanted, before: Held | None) -> Held:
    """What the catalog holds once `wanted` was registered: a check that was there keeps what it says."""
    endpoint = wanted.endpoint
    return Held(
        id=endpoint.id,
        service=endpoint.service,
        address=endpoint.address,
        port=endpoint.port,
        tags=endpoint.tags,
        meta=dict(endpoint.meta),
        status=(before.status if before else "") or wanted.status,
        output=before.output if before else "",
        maintenance=before.maintenance if before else None,
    )


def _instance(held: Held) -> str:
    return held.meta.get(Meta.INSTANCE, "")
