"""An image as a Dockerfile says it: made by the engine, pushed, and from then on known by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.build.dependencies import Kitchen
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.wire.docker import images

_LAST_LINES = 25


@dataclass(frozen=True, slots=True)
class How:
    app: str
    commit: str
    spec: BuildSpec
    labels: Mapping[str, str]


async def build_and_push(kitchen: Kitchen, how: How, context: bytes) -> tuple[str, int]:
    """The image's reference by digest, and its size. `context` is the commit as a tar. Raises: Failed."""
    repository, tag = f"{kitchen.registry.address}/{how.app}", how.commit
    wanted = images.Build(
        tag=f"{repository}:{tag}",
        dockerfile=how.spec.dockerfile or "Dockerfile",
        target=how.spec.target,
        args={"PIER_REGISTRY": kitchen.registry.address, **how.spec.args},
        labels=how.labels,
        memory_bytes=kitchen.limits.memory_bytes,
    )
    lines: list[str] = []
    try:
        async for text in images.build(kitchen.engine, context, wanted):
            for line in text.splitlines():
                lines.append(line)
                await kitchen.log("dockerfile", line)
    except errors.Failed as error:
        last = "\n".join(lines[-_LAST_LINES:])
        raise errors.Failed(f"The Dockerfile failed: {error.message}\n{last}", hint=error.hint) from error
    async for _ in images.push(kitchen.engine, repository, tag):
        pass
    manifest = await kitchen.registry.manifest(how.app, tag)
    if manifest is None:
        raise errors.Broken(f"The registry does not have {repository}:{tag}, which was just pushed.")
    return f"{repository}@{manifest.digest}", sum(one["size"] for one in manifest.value["layers"])
