"""What no image names leaves the embedded registry's disk, and nobody who comes meanwhile loses anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.build_queue_lab import Place, placed, until

from pierhead.boot import registry as boot
from pierhead.boot.registry import Window
from pierhead.build import base, layer
from pierhead.build.layer import Config
from pierhead.control import builds, prune, registry, releases
from pierhead.kit import errors, process
from pierhead.model.build import Build, BuildState
from pierhead.settings import Registry as RegistrySettings
from pierhead.settings import Settings
from pierhead.testing import window as testing
from pierhead.testing.ports import free_port
from pierhead.wire.docker import images
from pierhead.wire.oci import client as oci
from pierhead.wire.oci.client import Registry

SIZE = 3_000_000
COMMAND = f"busybox head -c {SIZE} /dev/urandom > made"

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Window]:
    """The registry as `pier up` runs it takes uploads; it is stopped at the end."""
    window = Window()
    serving = asyncio.get_running_loop().create_task(boot.run(settings, testing.report(), window))

    async def is_writable() -> bool:
        assert not serving.done(), serving
        return await takes_uploads(settings)

    try:
        await until(is_writable)
        yield window
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def takes_uploads(settings: Settings) -> bool:
    try:
        async with Registry(registry.access(settings)) as connected:
            await connected.put_blob("somebody/else", os.urandom(8))
    except errors.PierError:
        return False
    return True


def on_disk(settings: Settings, blob: str) -> int:
    """Bytes of a blob in the registry's storage; 0: it is gone."""
    digest = blob.removeprefix("sha256:")
    file = settings.registry_storage / "docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
    return file.stat().st_size if file.exists() else 0


def used(settings: Settings) -> int:
    """Bytes of the disk that the registry takes."""
    return sum(file.stat().st_blocks * 512 for file in settings.registry_storage.rglob("*"))


async def layers(connected: Registry, image: str) -> tuple[list[str], str]:
    """The layers below, and the commit's own."""
    found = await connected.manifest("collected", image.rpartition("@")[2])
    assert found
    *below, own = [str(one["digest"]) for one in found.value["layers"]]
    return below, own


async def foreign(connected: Registry) -> str:
    """A blob of an image that is not Pierhead's."""
    blob = await connected.put_blob("somebody/else", os.urandom(SIZE))
    document = {"mediaType": oci.CONFIG, "digest": blob, "size": SIZE}
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": document, "layers": []}
    await connected.put_manifest("somebody/else", "v1", manifest)
    return blob


async def asked(place: Place, command: str) -> Build:
    source, commit = place.commit("collected", command)
    return await builds.request(place.ctx, "collected", "dev", source, commit)


async def pulled(place: Place, image: str) -> None:
    """The engine has what it had not before."""
    known = registry.credentials(registry.access(place.ctx.settings))
    with contextlib.suppress(errors.NotFound):
        await images.remove(place.ctx.engine, image, force=True)
    async for _ in images.pull(place.ctx.engine, image, known):
        pass
    await images.remove(place.ctx.engine, image, force=True)


async def test_garbage_is_gone_from_the_disk_and_whoever_comes_meanwhile_waits(tmp_path: Path) -> None:
    inside, goes_on = asyncio.Event(), asyncio.Event()
    said: list[str] = []

    async def note(step: str, text: str) -> None:
        said.append(f"{step}: {text}")

    async with placed(tmp_path) as place:
        settings = replace(place.ctx.settings, home=tmp_path / "home", registry=RegistrySettings(port=free_port()))
        async with embedded(settings) as window:

            @asynccontextmanager
            async def held() -> AsyncIterator[None]:
                async with window.opened():
                    inside.set()
                    await goes_on.wait()
                    yield

            there = replace(place, ctx=replace(place.ctx, settings=settings, registry_window=held))
            ctx = there.ctx
            async with there.working(), Registry(registry.access(settings)) as connected:
                old = await there.ended((await asked(there, COMMAND)).id)
                new = await there.ended((await asked(there, COMMAND)).id)
                assert (old.reason, new.reason) == ("", "")
                below, gone = await layers(connected, old.image)
                _, kept = await layers(connected, new.image)
                somebodys = await foreign(connected)
                before = used(settings)

                async with asyncio.TaskGroup() as group:
                    pruning = group.create_task(prune.run(ctx))
                    await inside.wait()
                    assert on_disk(settings, gone) >= SIZE, "only its manifest is gone so far"
                    with pytest.raises(oci.ReadOnly, match="takes no uploads now"):
                        await connected.put_blob("somebody/else", b"meanwhile")
                    based = layer.packed(os.urandom(SIZE), tmp_path / "based")
                    group.create_task(base.keep(connected, "mine:1", based, Config(), note))
                    assert len(await connected.blob("collected", kept)) >= SIZE, "pulls go on"
                    queued = await asked(there, "echo small > made")
                    listed = {one.release.name: one.release for one in await releases.listing(ctx, "collected")}
                    assert listed["v1"].pruned_at
                    assert listed["v2"].pruned_at is None
                    await until(lambda: holds("base: the registry takes no uploads now: waits" in said))
                    assert (await builds.find(ctx, queued.id)).state is BuildState.QUEUED
                    goes_on.set()
                done = pruning.result()
                assert [line.split("@")[0] for line in done.removed] == ["remove collected", "remove cache/layers"]
                after = await there.ended(queued.id)
                assert after.state is BuildState.SUCCEEDED, after.reason

            assert on_disk(settings, gone) == 0
            assert all(on_disk(settings, one) for one in [*below, kept, somebodys, based.layer.digest])
            assert before - (used(settings) - based.layer.size) > SIZE * 0.9
            assert done.size >= SIZE
            for image in (new.image, after.image):
                await pulled(there, image)


async def holds(condition: bool) -> bool:
    return condition


async def test_a_server_that_dies_in_the_middle_leaves_a_registry_that_takes_uploads_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", registry=RegistrySettings(port=free_port()))
    command = [sys.executable, "-m", testing.__name__, str(settings.home), str(settings.registry.port)]
    settings.home.mkdir()
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert server.stdout
    assert await server.stdout.readline() == b"open\n"
    server.kill()
    await server.wait()
    run = settings.registry_config.parent
    assert {one.name for one in process.alive(run)} == {"registry", "registry-garbage"}
    async with Registry(registry.access(settings)) as connected:
        await connected.ping()
        with pytest.raises(oci.ReadOnly):
            await connected.put_blob("app", b"nobody is there")
    async with embedded(settings):
        assert [one.name for one in process.alive(run)] == ["registry"], "nobody removes what is pushed from now on"
    assert process.alive(run) == []
