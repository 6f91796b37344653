"""The dependency layer: installed once in a container, kept in the registry, shared by all with the same lock file."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pierhead.build import base, cache, kitchen, layer
from pierhead.build.ingredients import Dependencies
from pierhead.build.kitchen import Kitchen, Script, ScriptFailed
from pierhead.build.layer import Layer

STEP = "dependencies"
_NEEDS_COMPILER = re.compile(
    r"Failed building wheel|Failed to build|command '?\S*(gcc|g\+\+|cc|clang)'? failed|Python\.h|pg_config|"
    r"[Uu]nable to (find|execute).*(gcc|cc)|No such file or directory: '(gcc|cc|make|cmake)'|"
    r"not found: (make|gcc|g\+\+|cc)|gyp ERR! find Python"
)
"""What installers say when there was no compiler for them."""


async def ensure(place: Kitchen, wanted: Dependencies) -> tuple[Layer, bool]:
    """The layer, in the registry's cache; and whether it was there before. Raises: Failed, Unavailable."""
    builder = await base.obtain(place, wanted.builder)
    key = place.named(wanted.key(builder.digest))
    if found := await cache.find(place.registry, key):
        await place.log(STEP, f"the same {wanted.lock} as before ({key[:10]})")
        return found, True
    await place.log(STEP, f"installed once for this {wanted.lock} ({key[:10]})")
    raw = await _install(place, wanted, builder.reference)
    parent = wanted.result.strip("/").rpartition("/")[0]
    target = place.folder / f"{key}.layer"
    rename = f"{parent}/{{}}".format
    made = await asyncio.to_thread(layer.normalised, raw, target, rename, 0, place.compression)
    await asyncio.to_thread(raw.unlink)
    await cache.keep(place.registry, key, made)
    return made.layer, False


async def _install(place: Kitchen, wanted: Dependencies, image: str) -> Path:
    """A file with what the script left; tried again beside a compiler when that was missing."""
    try:
        return await kitchen.run(place, _script(wanted, image))
    except ScriptFailed as failed:
        if not wanted.compiling_builder or not needs_compiler(failed.lines):
            raise
    await place.log(STEP, "a package must be compiled: once more, beside a compiler")
    builder = await base.obtain(place, wanted.compiling_builder)
    return await kitchen.run(place, _script(wanted, builder.reference))


def needs_compiler(lines: Sequence[str]) -> bool:
    """An installer that wrote this wanted a compiler that was not there."""
    return any(_NEEDS_COMPILER.search(line) for line in lines)


def _script(wanted: Dependencies, image: str) -> Script:
    hint = f"What {wanted.lock} names could not be installed."
    return Script(STEP, wanted.script, image, "/build", wanted.result, [_tar(wanted.inputs)], hint=hint)


def _tar(inputs: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in inputs.items():
            member = tarfile.TarInfo(f"build/{name}")
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()
