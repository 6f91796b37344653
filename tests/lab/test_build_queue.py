"""The queue at work, with a real engine and a real registry: what is cancelled, too slow, too large or left behind."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.build_queue_lab import Place, placed, until

from pierhead.build import kitchen
from pierhead.control import builds, prune
from pierhead.control import registry as control_registry
from pierhead.kit import clock, errors
from pierhead.model.app import Spec
from pierhead.model.build import BuildState
from pierhead.model.release import Release
from pierhead.settings import Registry as RegistrySettings
from pierhead.testing import disk, registry
from pierhead.wire.docker import containers, images, networks
from pierhead.wire.oci import client as oci
from pierhead.wire.oci.client import Registry

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with placed(tmp_path_factory.mktemp("queue")) as found:
        yield found


async def test_what_is_cancelled_is_gone_and_the_next_one_is_built(place: Place) -> None:
    slow = await place.queue("slow", "echo begun; sleep 300")
    after = await place.queue("slow", "echo after")
    async with place.working():
        await place.wrote(slow, "build: begun")
        (container,) = await place.containers()
        found = await containers.inspect(place.ctx.engine, container)
        limits = found.raw["HostConfig"]
        assert (limits["NanoCpus"], limits["Memory"], limits["PidsLimit"]) == (500_000_000, 48 << 20, 4096)
        assert runs(found.pid)
        assert (await builds.find(place.ctx, after)).state is BuildState.QUEUED
        await builds.cancel(place.ctx, slow)
        await until(place.no_containers)
        assert not runs(found.pid)
        assert (await place.ended(after)).state is BuildState.SUCCEEDED
    ended = await builds.find(place.ctx, slow)
    assert (ended.state, ended.image) == (BuildState.CANCELLED, "")


async def test_no_more_builds_at_once_than_are_allowed(place: Place) -> None:
    waiting = [await place.queue(f"one{number}", "echo begun; sleep 1") for number in range(3)]
    seen = 0
    async with place.working():
        while not all([(await builds.find(place.ctx, build)).state.has_ended for build in waiting]):
            seen = max(seen, len(await place.containers()))
    assert [(await builds.find(place.ctx, build)).state for build in waiting] == [BuildState.SUCCEEDED] * 3
    assert seen == 2


async def test_what_takes_too_long_or_too_much_says_so_and_leaves_nothing(place: Place) -> None:
    async with place.working(timeout=timedelta(seconds=4)):
        slow = await place.ended(await place.queue("late", "echo begun; sleep 300"))
        assert slow.reason.startswith("The build took longer than 4 s.")
        assert await place.no_containers()
    async with place.working():
        large = await place.ended(await place.queue("large", "tail /dev/zero"))
        assert "needed more memory than 48 MiB" in large.reason


async def test_a_server_that_died_left_containers_that_go_and_a_build_that_is_done_again(place: Place) -> None:
    build_id = await place.queue("again", "echo done again")
    claimed = await builds.claim(place.ctx)
    assert claimed
    body = {"Image": place.base, "Cmd": ["/bin/sleep", "300"], "Labels": {kitchen.OWNER: place.ctx.owner}}
    left = await containers.create(place.ctx.engine, body)
    await containers.start(place.ctx.engine, left)
    async with place.working():
        assert (await place.ended(build_id)).state is BuildState.SUCCEEDED
    assert await place.no_containers()
    assert "again: The server died while it built this: again." in await place.log(build_id)


async def test_a_log_is_kept_by_step(place: Place) -> None:
    async with place.working():
        ended = await place.ended(await place.queue("loud", "echo -e '\\033[31mred\\033[0m'; seq 1 30000; exit 3"))
    assert ended.state is BuildState.FAILED
    assert "failed with exit code 3" in ended.reason
    assert "build: \x1b[31mred\x1b[0m" in await place.log(ended.id), "with its colours"
    steps = await builds.steps(place.ctx, ended.id)
    assert [step.name for step in steps if step.name != "base"] == ["fetch", "commit", "recipe", "build", "failed"]
    assert next(step.lines for step in steps if step.name == "build") == 30_001


async def test_what_nobody_can_go_back_to_is_removed_and_nothing_else(place: Place) -> None:
    address = place.ctx.settings.registry_address
    async with place.working():
        old = await place.ended(await place.queue("pruned", "echo one > made"))
        new = await place.ended(await place.queue("pruned", "echo two > made"))
        async with Registry(address) as connected:
            config = await connected.put_blob("somebody/else", b"{}")
            described = {"mediaType": oci.CONFIG, "digest": config, "size": 2}
            foreign = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": described, "layers": []}
            await connected.put_manifest("somebody/else", "v1", foreign)
            lost, stays = (made.image.rpartition("@")[2] for made in (old, new))
            newer = await connected.manifest("pruned", stays)
            assert newer
            await connected.put_manifest("pruned", old.commit, newer.value)  # as when its base had changed
            told = await prune.plan(place.ctx)
            mine = [str(removal) for removal in told.removals if removal.image.repository == "pruned"]
            assert len(mine) == 1
            assert old.image.rpartition("sha256:")[2][:12] in mine[0]
            assert "no retained release and no recent build has it" in mine[0]
            assert await connected.manifest("pruned", lost), "it is only told"
            done = await prune.run(place.ctx)
            assert mine[0] in done.removed
            assert await connected.manifest("pruned", lost) is None
            assert await connected.manifest("pruned", stays)
            assert await connected.manifest("somebody/else", "v1")
            assert not [one for one in (await prune.plan(place.ctx)).removals if one.image.repository == "pruned"]
            spec = Spec("pruned")
            gone, kept = (
                Release(1, "pruned", "dev", 3, image, old.commit, "x", spec, {}, clock.now())
                for image in (old.image, new.image)
            )
            with pytest.raises(errors.Conflict, match="pruned v3 cannot run any more: its image is no longer"):
                await control_registry.require_image(place.ctx, gone)
            await control_registry.require_image(place.ctx, kept)
        again = await builds.request(place.ctx, "pruned", "", old.source, old.commit)
        rebuilt = await place.ended(again.id)
        assert rebuilt.state is BuildState.SUCCEEDED, rebuilt.reason
    for made in (new, rebuilt):
        async for _ in images.pull(place.ctx.engine, made.image):
            pass


async def test_nothing_is_built_that_a_node_could_not_read(place: Place) -> None:
    version = str((await place.ctx.engine.get("/version"))["Version"])
    async with place.working(compression="zstd"):
        ended = await place.ended(await place.queue("packed", "echo one"))
    if int(version.partition(".")[0]) < 23:
        assert (ended.state, ended.image) == (BuildState.FAILED, "")
        assert f" has {version}" in ended.reason
        assert "set build.compression to gzip" in ended.reason
    else:
        async for _ in images.pull(place.ctx.engine, ended.image):
            pass


async def test_nothing_is_built_on_a_disk_that_is_nearly_full(place: Place) -> None:
    async with place.working(least_free_bytes=1 << 60):
        refused = await place.ended(await place.queue("full", "echo one"))
    assert "nothing is built below 1048576TiB" in refused.reason
    assert "pier prune" in refused.reason
    async with place.working(low_free_bytes=1 << 60):
        warned = await place.ended(await place.queue("full", "echo two"))
    assert warned.state is BuildState.SUCCEEDED
    assert any(line.startswith("disk: The disk of ") for line in await place.log(warned.id))


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose registry has room for 6 MiB."""
    with disk.small(tmp_path / "registry", 6):
        yield tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
async def test_a_registry_that_gets_full_in_the_middle_publishes_nothing_half(place: Place, small_home: Path) -> None:
    (small_home / "program").mkdir()
    async with registry.serving(small_home / "program", data=small_home / "registry") as address:
        own = replace(
            place.ctx.settings, home=small_home, registry=RegistrySettings(port=int(address.rpartition(":")[2]))
        )
        there = replace(place, ctx=replace(place.ctx, settings=own))
        async with there.working():
            full = await there.ended(await there.queue("brim", "seq 1 3000000 > made"))
            assert (full.state, full.image) == (BuildState.FAILED, "")
            assert "no space left on device" in full.reason
            assert "full disk" in full.reason
            async with Registry(address) as connected:
                assert await connected.tags("brim") == []
            after = await there.ended(await there.queue("brim", "echo small > made"))
            assert after.state is BuildState.SUCCEEDED, after.reason


JUNIT = (
    '<testsuites><testsuite><testcase classname="shop" name="sells"/><testcase classname="shop" name="{name}">{inner}'
    "</testcase></testsuite></testsuites>"
)
TESTS = """\
test:
  command: [busybox, sh, -c, {command}]
  report: /report.xml
  env: {{SAYS: hello}}
  services:
    db: {{image: "{base}", command: [busybox, httpd, -f, -p, "8000", -h, /]}}
"""
SHOWN = "echo $SAYS; until busybox wget -qO /got http://db:8000/bin/busybox; do busybox sleep 1; done;"


async def test_only_what_passes_its_tests_is_an_image_to_release(place: Place) -> None:
    skipped, failed = (JUNIT.format(name="buys", inner=inner) for inner in ("<skipped/>", "<failure>no</failure>"))
    passing = json.dumps(f"{SHOWN} cat /app/made; echo '{skipped}' > /report.xml")
    failing = json.dumps(f"echo '{failed}' > /report.xml; exit 1")
    async with place.working():
        good = await place.ended(
            await place.queue("tried", "echo what was built > made", TESTS.format(command=passing, base=place.base))
        )
        assert good.state is BuildState.SUCCEEDED, good.reason
        log = await place.log(good.id)
        assert {"test: hello", "test: what was built", "test: 1 passed, 0 failed, 1 skipped"} <= set(log)
        assert (await builds.report(place.ctx, good.id))[0] == "1 passed, 0 failed, 1 skipped"
        bad = await place.ended(
            await place.queue("tried", "echo x > made", TESTS.format(command=failing, base=place.base))
        )
    assert (bad.state, bad.image, bad.deployment) == (BuildState.FAILED, "", None)
    assert bad.reason.startswith("The tests failed with exit code 1 (1 passed, 1 failed, 0 skipped):\n  shop.buys")
    assert b"<failure>no</failure>" in (await builds.report(place.ctx, bad.id))[1]
    assert await place.no_containers()
    assert await networks.listing(place.ctx.engine, {"label": [f"{kitchen.OWNER}={place.ctx.owner}"]}) == []
