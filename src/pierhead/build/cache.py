"""Layers that took work to make, kept in the registry by what they were made from."""

from __future__ import annotations

from pierhead.build import layer
from pierhead.build.layer import Config, Layer, Packed
from pierhead.kit import clock
from pierhead.model import prune
from pierhead.wire.oci.client import Registry

REPOSITORY = prune.CACHE
"""One image a key, which no one runs: so the registry's own clean-up knows what is in use."""


async def find(registry: Registry, key: str) -> Layer | None:
    """The layer of that key; None when it was never made, or only half kept."""
    manifest = await registry.manifest(REPOSITORY, key)
    if manifest is None:
        return None
    config = await registry.json_blob(REPOSITORY, manifest.value["config"]["digest"])
    found = layer.read(manifest.value, config)[0]
    return found if await registry.has_blob(REPOSITORY, found.digest) else None


async def keep(registry: Registry, key: str, made: Packed) -> None:
    """The registry has the layer under that key."""
    config = layer.config(Config(), [made.layer], clock.moment(0))
    await registry.put_file(REPOSITORY, made.layer.digest, made.path)
    await registry.put_blob(REPOSITORY, config)
    await registry.put_manifest(REPOSITORY, key, layer.manifest(config, [made.layer]))
