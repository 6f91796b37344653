"""An image as a Dockerfile says it: made by the engine, pushed, and from then on known by its digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.build import kitchen, sources
from pierhead.build.kitchen import Kitchen
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.wire.docker import buildkit, images
from pierhead.wire.oci.client import Manifest

STEP = "dockerfile"
_LAST_LINES = 25
_MORE = re.compile(
    r"^\s*(?:RUN\s+--(?:mount|network|security)\b|(?:COPY|ADD)\s+--(?:link|chmod)\b|(?:RUN|COPY|ADD)\b[^\n]*?<<-?[\"']?[A-Za-z_])",
    re.MULTILINE | re.IGNORECASE,
)
"""What only BuildKit understands of a Dockerfile."""
_OWN_BASE = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*\$\{?PIER_REGISTRY\}?/base/([a-z-]+)(?![a-z/-])", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class How:
    app: str
    commit: str
    spec: BuildSpec
    labels: Mapping[str, str]
    text: str = ""
    """Of the Dockerfile."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def tag(self) -> str:
        """Equal for what must be the same image: a builder never makes the same one twice by itself."""
        spec = self.spec
        parts = [
            spec.dockerfile,
            spec.target,
            *spec.secrets,
            *(f"{name}={value}" for name, value in sorted(spec.args.items())),
        ]
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
    writing = await _builder(place, how, context, wanted)
    try:
        async for text in writing:
            for line in text.splitlines():
                lines.append(line)
                await place.log(STEP, line)
    except errors.PierError as error:
        last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
        raise errors.Failed(f"The Dockerfile failed: {error.message}\n{last}", hint=error.hint) from error


async def _builder(place: Kitchen, how: How, context: Path, wanted: images.Build) -> AsyncIterator[str]:
    """What the builder writes that this Dockerfile needs: the classic one keeps to the limits of builds, and BuildKit
    does more. Raises: Failed (there is no way to BuildKit, or the engine is elsewhere).
    """
    reason = needs_buildkit(how.text, how.spec)
    if not reason:
        return images.build(place.engine, kitchen.pieces(context), wanted, place.credentials)
    program = await buildkit.found()
    if not program:
        raise errors.Failed(
            f"The Dockerfile needs BuildKit ({reason}), and no docker client here speaks to it.",
            hint="Debian's docker.io (20.10) has one in /usr/bin/docker; newer clients need the plugin docker-buildx.",
        )
    await place.log(STEP, f"by BuildKit: {reason}. Its builds have no limits of their own.")
    return buildkit.build(
        buildkit.Session(program, place.engine.address, how.secrets, place.credentials), context, wanted
    )


def needs_buildkit(text: str, spec: BuildSpec) -> str:
    """Why the classic builder is not enough; empty when it is."""
    if spec.secrets:
        return "build.secrets"
    found = _MORE.search(text)
    return " ".join(found[0].split()) if found else ""


def own_bases(text: str) -> list[str]:
    """The base images of Pierhead's own that a Dockerfile begins stages with: `FROM ${PIER_REGISTRY}/base/python`."""
    return list(dict.fromkeys(_OWN_BASE.findall(text)))


def _size(found: Manifest) -> int:
    return sum(int(one["size"]) for one in found.value["layers"])
