"""How an image is started, as its config in the registry says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pierhead.kit import errors
from pierhead.model.release import ImageConfig
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry


async def config(access: Access, reference: str) -> ImageConfig:
    """Of the image `host:port/name@sha256:…` there. Raises: NotFound (the registry has no such image), Unavailable."""
    name, _, digest = reference.removeprefix(f"{access.address}/").rpartition("@")
    async with Registry(access) as registry:
        manifest = await registry.manifest(name, digest)
        if manifest is None:
            raise errors.NotFound(f"The registry has no {reference}.", hint="Build it again.")
        return read(await registry.json_blob(name, manifest.value["config"]["digest"]))


def read(value: Mapping[str, Any]) -> ImageConfig:
    """What the config says. Source: OCI image specification, config."""
    said = value.get("config") or {}
    return ImageConfig(
        entrypoint=tuple(said.get("Entrypoint") or ()),
        command=tuple(said.get("Cmd") or ()),
        env=dict(text.partition("=")[::2] for text in said.get("Env") or ()),
    )
