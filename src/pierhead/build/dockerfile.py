"""An image as a Dockerfile says it: made by the engine, pushed, and from then on known by its digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pierhead.build import kitchen, sources
from pierhead.build.kitchen import Kitchen
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.wire.docker import images
from pierhead.wire.oci.client import Manifest

STEP = "dockerfile"
_LAST_LINES = 25
_OWN_BASE = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*\$\{?PIER_REGISTRY\}?/base/([a-z-]+)(?![a-z/-])", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class How:
    app: str
    commit: str
    spec: BuildSpec
    labels: Mapping[str, str]

    @property
    def tag(self) -> str:
        """Equal for what must be the same image: a builder never makes the same one twice by itself."""
        spec = self.spec
        parts = [spec.dockerfile, spec.target, *(f"{name}={value}" for name, value in sorted(spec.args.items()))]
        return f"{self.commit}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


async def build_and_push(place: Kitchen, how: How, context: Path) -> tuple[str, int]:
    """The image's reference by digest, and its size. `context` is the commit as a tar. Raises: Failed, Unavailable."""
    repository = f"{place.registry.address}/{how.app}"
    found = await place.registry.manifest(how.app, how.tag)
    if found:
        await place.log(STEP, "this commit was built before")
    else:
        await _build(place, how, f"{repository}:{how.tag}", context)
        async for _ in images.push(place.engine, repository, how.tag, place.credentials):
            pass
        found = await place.registry.manifest(how.app, how.tag)
    if found is None:
        raise errors.Broken(f"The registry does not have {repository}:{how.tag}, which was just pushed.")
    return f"{repository}@{found.digest}", _size(found)


async def _build(place: Kitchen, how: How, tag: str, context: Path) -> None:
    proxies = {name: value for name, value in sources.proxies(os.environ).items() if name not in how.spec.args}
    wanted = images.Build(
        tag=tag,
        dockerfile=how.spec.dockerfile or "Dockerfile",
        target=how.spec.target,
        args={"PIER_REGISTRY": place.registry.address, **proxies, **how.spec.args},
        labels=how.labels,
        memory_bytes=place.limits.memory_bytes,
        cpus=place.limits.processors,
    )
    lines: list[str] = []
    try:
        async for text in images.build(place.engine, kitchen.pieces(context), wanted, place.credentials):
            for line in text.splitlines():
                lines.append(line)
                await place.log(STEP, line)
    except errors.PierError as error:
        last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
        raise errors.Failed(f"The Dockerfile failed: {error.message}\n{last}", hint=error.hint) from error


def own_bases(text: str) -> list[str]:
    """The base images of Pierhead's own that a Dockerfile begins stages with: `FROM ${PIER_REGISTRY}/base/python`."""
    return list(dict.fromkeys(_OWN_BASE.findall(text)))


def _size(found: Manifest) -> int:
    return sum(int(one["size"]) for one in found.value["layers"])
