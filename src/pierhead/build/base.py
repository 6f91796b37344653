"""Base images: Pierhead's own, made on the spot, because a private cloud often reaches no public registry; and others,
brought into the registry once."""

from __future__ import annotations

import asyncio
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.build import debian, layer, site
from pierhead.build.kitchen import Kitchen, Log
from pierhead.build.layer import Config, Layer, Packed
from pierhead.kit import clock, errors
from pierhead.wire.docker import images
from pierhead.wire.oci.client import ReadOnly, Registry

NAMES: Mapping[str, Sequence[str]] = {
    "debian": ("ca-certificates", "tzdata"),
    "python": ("ca-certificates", "tzdata", "python3", "python3-venv"),
    "python-build": ("ca-certificates", "tzdata", "python3", "python3-venv", "python3-dev", "build-essential", "git"),
    "node": ("ca-certificates", "tzdata", "nodejs"),
    "node-build": ("ca-certificates", "tzdata", "nodejs", "npm"),
    "node-compile": ("ca-certificates", "tzdata", "nodejs", "npm", "build-essential", "python3", "git"),
    "java": ("ca-certificates", "tzdata", "openjdk-17-jre-headless"),
    "java-build": ("ca-certificates", "tzdata", "openjdk-17-jdk-headless", "maven"),
    "go-build": ("ca-certificates", "tzdata", "golang-go", "git"),
    "static": (),
}
"""What each has beside Debian's own minimum; `static` is a web server, a shell and no Debian."""

SUITE = "bookworm"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CREATED = clock.moment(0)
_EXTERNAL = "base/external"
_EDITION_LABEL, EDITION = "pier.base.edition", "1"
"""How Pierhead makes bases. One of another edition is made anew; count on when a new recipe needs a new base."""

_PATIENCE = timedelta(minutes=10)
_LOOK = timedelta(seconds=1)

_making: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()
"""Two builds at once wait for one base image, instead of making it twice."""


@dataclass(frozen=True, slots=True)
class Base:
    reference: str
    """`host:port/base/python@sha256:…`"""
    name: str
    """The repository in the registry: `base/python`."""
    layers: Sequence[Layer]
    config: Mapping[str, Any]
    digest: str

    @property
    def is_current(self) -> bool:
        """It was made in the way in which this Pierhead makes bases."""
        labels = (self.config.get("config") or {}).get("Labels") or {}
        return bool(labels.get(_EDITION_LABEL) == EDITION)


async def obtain(place: Kitchen, name: str) -> Base:
    """The base image of that name: one of Pierhead's own, one that is in the registry, or one that the engine can get.

    Raises: NotFound, Failed, Unavailable.
    """
    if name in NAMES:
        return await ensure(name, place.registry, place.log)
    own = f"{place.registry.address}/"
    repository, reference = split(name.removeprefix(own))
    is_here = name.startswith(own) or not _names_registry(name)
    if is_here and (found := await find(place.registry, repository, reference)):
        return found
    if name.startswith(own):
        raise errors.NotFound(f"The registry has no image {name}.", hint="`pier base build` makes base images.")
    return await _brought(place, repository, reference)


async def ensure(name: str, registry: Registry, log: Log) -> Base:
    """The base of that name, made now when the registry has none. Raises: Failed, Unavailable."""
    async with _making.setdefault((registry.address, name), asyncio.Lock()):
        found = await find(registry, f"base/{name}", SUITE)
        if found and found.is_current:
            return found
        began = time.monotonic()
        await log("base", f"{name}: made once from Debian's packages")
        made = await build(name, registry, log)
        await log("base", f"{name}: made in {time.monotonic() - began:.0f} s")
        return made


async def build(name: str, registry: Registry, log: Log, *, include: Sequence[str] = (), suite: str = SUITE) -> Base:
    """The registry has `base/<name>:<suite>`, made anew from packages. Needs root.

    Raises: Invalid (neither a known name nor packages), Failed (the packages cannot be had).
    """
    if name not in NAMES and not include:
        raise errors.Invalid(
            f"There is no base image {name!r}: {', '.join(sorted(NAMES))}.",
            hint="Name the packages of one of your own: `pier base build NAME --include PACKAGE`.",
        )
    with tempfile.TemporaryDirectory(prefix="pier-base-") as folder:
        if name == "static":
            made, how = await site.made(Path(folder), suite, log), site.CONFIG
        else:
            packages = [*NAMES.get(name, NAMES["debian"]), *include]
            made, how = await debian.made(Path(folder), packages, suite, log), Config(("/bin/bash",), {"PATH": _PATH})
        await keep(registry, f"{name}:{suite}", made, how, log)
    found = await find(registry, f"base/{name}", suite)
    if found is None:
        raise errors.Broken(f"The registry does not have the base/{name} that it was just given.")
    return found


async def keep(registry: Registry, name: str, made: Packed, how: Config, log: Log) -> None:
    """The registry has `base/<name>`, of that one layer. Waits while it takes no uploads: what took minutes to make is
    not lost because of that. Raises: Unavailable.
    """
    end, has_said = time.monotonic() + _PATIENCE.total_seconds(), False
    while True:
        try:
            await _push(registry, *split(f"base/{name}"), made, how)
        except ReadOnly:
            if time.monotonic() > end:
                raise
            if not has_said:
                await log("base", "the registry takes no uploads now: waits")
            has_said = True
            await asyncio.sleep(_LOOK.total_seconds())
        else:
            return


async def find(registry: Registry, repository: str, reference: str) -> Base | None:
    """The image of that tag or digest in the registry; None when it has none."""
    manifest = await registry.manifest(repository, reference)
    if manifest is None:
        return None
    config = await registry.json_blob(repository, manifest.value["config"]["digest"])
    name = f"{registry.address}/{repository}@{manifest.digest}"
    return Base(name, repository, layer.read(manifest.value, config), config, manifest.digest)


def split(name: str) -> tuple[str, str]:
    """`python:3.12` → `python`, `3.12`; without a tag `latest`; a digest instead of a tag is kept."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return (f"{head}/{repository}" if head else repository), tag or "latest"


def _names_registry(name: str) -> bool:
    """Source: Docker's reference grammar: the first part is a host when it could be no folder of a registry."""
    first, _, rest = name.partition("/")
    return bool(rest) and (first == "localhost" or "." in first or ":" in first)


async def _push(registry: Registry, repository: str, tag: str, made: Packed, how: Config) -> None:
    config = layer.config(replace(how, labels={**how.labels, _EDITION_LABEL: EDITION}), [made.layer], _CREATED)
    await registry.put_file(repository, made.layer.digest, made.path)
    await registry.put_blob(repository, config)
    await registry.put_manifest(repository, tag, layer.manifest(config, [made.layer]))


async def _brought(place: Kitchen, repository: str, reference: str) -> Base:
    """An image from elsewhere, in the registry: the engine's own copy, or what the engine can pull."""
    tag = reference.replace(":", "-")
    kept = f"{_EXTERNAL}/{repository.replace(':', '-')}".lower()
    if found := await find(place.registry, kept, tag):
        return found
    name = f"{repository}@{reference}" if ":" in reference else f"{repository}:{reference}"
    await place.log("base", f"{name}: brought into the registry once")
    await _pulled(place, name)
    await images.tag(place.engine, name, f"{place.registry.address}/{kept}", tag)
    async for _ in images.push(place.engine, f"{place.registry.address}/{kept}", tag, place.credentials):
        pass
    found = await find(place.registry, kept, tag)
    if found is None:
        raise errors.Broken(f"The registry does not have {kept}:{tag}, which was just pushed.")
    return found


async def _pulled(place: Kitchen, name: str) -> None:
    try:
        await images.inspect(place.engine, name)
    except errors.NotFound:
        try:
            async for _ in images.pull(place.engine, name):
                pass
        except errors.PierError as error:
            raise errors.NotFound(
                f"The base image {name} cannot be had: {error.message}",
                hint="Without `build: {base: …}` Pierhead makes one from Debian's packages; `pier base build` makes "
                "one of your own.",
            ) from error
