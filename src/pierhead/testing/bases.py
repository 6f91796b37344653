"""Base images for tests: made once on this machine, kept in `.tools/bases`, and few: one is all that compile, and one
that has more is taken for one that has less.

What they are made of and how is in the name under which they are kept, so that a change makes them anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pierhead.build import base, debian, layer, site
from pierhead.wire.oci import client as oci
from pierhead.wire.oci.client import Registry

KEPT = Path(__file__).parents[3] / ".tools" / "bases"
_COMPILING = ("python-build", "node", "node-build", "node-compile")
OWN: Mapping[str, str] = MappingProxyType(
    {"static": "static", "python": "python", "debian": "python", **dict.fromkeys(_COMPILING, "tools")}
)
"""Base image → what is taken for it; any other is taken for itself."""
_TOOLS = sorted({package for name in _COMPILING for package in base.NAMES[name]})


async def seed(registry: Registry, names: Sequence[str] = tuple(OWN)) -> None:
    """The registry has these base images. Raises: Failed (they cannot be made), Unavailable."""
    wanted: dict[str, list[str]] = {}
    for name in names:
        wanted.setdefault(OWN.get(name, name), []).append(name)
    async with asyncio.TaskGroup() as group:  # each waits for the network and for the disk
        for source, mine in wanted.items():
            group.create_task(_seed(registry, source, mine))


async def _seed(registry: Registry, source: str, names: Sequence[str]) -> None:
    kept = KEPT / f"{source}-{_key(source)}"
    if not kept.exists():
        await _make(registry, source, kept)
    await _put(registry, kept, names)


async def _make(registry: Registry, source: str, kept: Path) -> None:
    """The base image is in the folder `kept`, whole or not at all."""
    include = _TOOLS if source not in base.NAMES else ()
    made = await base.build(source, registry, _unheard, include=include)
    KEPT.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=KEPT))
    (part / "config").write_bytes(oci.canonical(made.config))
    await registry.fetch_blob(made.name, made.layers[0].digest, part / "layer")
    (part / "digest").write_text(f"{made.layers[0].digest} {made.layers[0].diff_id} {made.layers[0].size}")
    _take_place(part, kept)


def _take_place(part: Path, kept: Path) -> None:
    try:
        part.rename(kept)
    except OSError:  # another test run was quicker
        shutil.rmtree(part)


async def _put(registry: Registry, kept: Path, names: Sequence[str]) -> None:
    digest, diff_id, size = (kept / "digest").read_text().split()
    one = layer.Layer(digest, diff_id, int(size))
    config = (kept / "config").read_bytes()
    await registry.put_file(f"base/{names[0]}", digest, kept / "layer")
    for name in names:
        await registry.mount_blob(f"base/{name}", digest, f"base/{names[0]}")
        await registry.put_blob(f"base/{name}", config)
        await registry.put_manifest(f"base/{name}", base.SUITE, layer.manifest(config, [one]))


def _key(source: str) -> str:
    code = [inspect.getsource(module) for module in (debian, site)]
    packages = base.NAMES.get(source, _TOOLS)
    return hashlib.sha256("\0".join([*packages, base.SUITE, base.EDITION, *code]).encode()).hexdigest()[:16]


async def _unheard(step: str, text: str) -> None:
    """The log is not looked at."""
