"""The Engine API client against a real engine, with an image made from the machine's own busybox."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import tarfile
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.kit import clock, errors
from pierhead.wire.docker import containers, events, exec, images, swarm, system, volumes
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.images import Build

pytestmark = [pytest.mark.engine, pytest.mark.timeout(60)]

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
STOPSIGNAL SIGQUIT
EXPOSE 8000/tcp
ENTRYPOINT ["/bin/busybox"]
"""


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine(SOCKET) as engine:
        yield engine


@pytest_asyncio.fixture
async def image(engine: Engine) -> str:
    tag = "pier-contract-docker:1"
    try:
        await images.inspect(engine, tag)
    except errors.NotFound:
        async for _ in images.build(
            engine, _tar({"Dockerfile": DOCKERFILE.encode(), "busybox": _busybox()}), Build(tag)
        ):
            pass
    return tag


@pytest_asyncio.fixture
async def name(engine: Engine) -> AsyncIterator[str]:
    name = f"pier-contract-{uuid.uuid4().hex[:8]}"
    yield name
    try:
        await containers.remove(engine, name, force=True)
    except errors.NotFound:
        return


async def test_the_engine_says_what_it_is(engine: Engine) -> None:
    await system.ping(engine)
    assert (await system.version(engine)).engine
    assert (await system.info(engine))["Swarm"]
    assert (await system.disk_usage(engine)).images_bytes >= 0
    nodes = await swarm.nodes(engine)
    assert nodes[0].state == "ready"
    assert (await swarm.inspect(engine)).worker_token.startswith("SWMTKN-")


async def test_an_engine_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    async with Engine(f"unix://{tmp_path}/nothing.sock") as engine:
        with pytest.raises(errors.Unavailable, match="did not answer"):
            await system.ping(engine)


async def test_refusals_have_their_families(engine: Engine, image: str, name: str) -> None:
    with pytest.raises(errors.NotFound):
        await containers.inspect(engine, name)
    with pytest.raises(errors.NotFound):
        await containers.create(engine, {"Image": f"{name}:none"}, name=name)
    await containers.create(engine, {"Image": image}, name=name)
    with pytest.raises(errors.Conflict):
        await containers.create(engine, {"Image": image}, name=name)
    with pytest.raises(errors.Conflict):
        await containers.kill(engine, name, "SIGTERM")


async def test_a_failed_build_says_why(engine: Engine) -> None:
    context = _tar({"Dockerfile": b"FROM scratch\nCOPY nothing /nothing\n"})
    with pytest.raises(errors.Failed, match="nothing"):
        async for _ in images.build(engine, context, Build("pier-contract-docker:failed")):
            pass


async def test_an_image_tells_what_it_was_built_with(engine: Engine, image: str) -> None:
    found = await images.inspect(engine, image)
    assert found.stop_signal == "SIGQUIT"
    assert found.exposed == {"8000/tcp"}
    await images.tag(engine, image, "pier-contract-docker", "other")
    await images.remove(engine, "pier-contract-docker:other")
    with pytest.raises(errors.NotFound):
        await images.inspect(engine, "pier-contract-docker:other")


async def test_an_imported_tar_is_an_image(engine: Engine) -> None:
    await images.import_(engine, _tar({"hello": b"hello"}), "pier-contract-docker", "imported")
    assert (await images.inspect(engine, "pier-contract-docker:imported")).size_bytes == 5
    await images.remove(engine, "pier-contract-docker:imported")


async def test_the_life_of_a_container_is_seen_from_outside(engine: Engine, image: str, name: str) -> None:
    async with events.watch(engine, {"type": ["container"], "container": [name]}) as seen:
        body = _body(image, "sleep 60", {"StopSignal": "SIGCONT", "StopTimeout": 1})
        await containers.create(engine, body, name=name)
        await containers.start(engine, name)
        running = await containers.inspect(engine, name)
        assert running.running
        assert running.started_at <= clock.now()
        assert [binding.port > 0 for binding in running.ports["8000/tcp"]] == [True]
        assert (running.stop_signal, running.stop_timeout) == ("SIGCONT", timedelta(seconds=1))
        await containers.stop(engine, name)
        found = [await _next(seen) for _ in range(5)]
    assert [(event.action, event.signal) for event in found] == [
        ("create", 0),
        ("start", 0),
        ("kill", 18),
        ("kill", 9),
        ("die", 0),
    ]
    assert found[-1].exit_code == 137
    ended = await containers.inspect(engine, name)
    assert not ended.running
    assert not ended.ports


async def test_events_of_the_past_are_told_again(engine: Engine, image: str, name: str) -> None:
    before = clock.now()
    await containers.create(engine, _body(image, "sleep 60"), name=name)
    await containers.start(engine, name)
    async with events.watch(engine, {"container": [name], "event": ["start"]}, since=before) as seen:
        assert (await _next(seen)).action == "start"


async def test_a_listing_shows_what_matches(engine: Engine, image: str, name: str) -> None:
    await containers.create(engine, {**_body(image, "sleep 60"), "Labels": {"contract": name}}, name=name)
    filters = {"label": [f"contract={name}"]}
    assert await containers.listing(engine, filters) == []
    assert [(one.name, one.state) for one in await containers.listing(engine, filters, all_=True)] == [
        (name, "created")
    ]


async def test_output_is_told_apart(engine: Engine, image: str, name: str) -> None:
    await containers.create(engine, _body(image, "echo out; echo err >&2; exit 3"), name=name)
    await containers.start(engine, name)
    assert await containers.wait(engine, name) == 3
    found = {frame.data.decode().strip(): frame.is_error async for frame in containers.logs(engine, name)}
    assert found == {"out": False, "err": True}


async def test_files_go_in_and_come_out(engine: Engine, image: str, name: str) -> None:
    await containers.create(engine, _body(image, "true"), name=name)
    await containers.put_archive(engine, name, "/", _tar({"note": b"hello"}))
    async with containers.archive(engine, name, "/note") as pieces:
        data = b"".join([piece async for piece in pieces])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        note = tar.extractfile("note")
        assert note
        assert note.read() == b"hello"


async def test_a_command_runs_in_a_terminal(engine: Engine, image: str, name: str) -> None:
    await containers.create(engine, _body(image, "sleep 60"), name=name)
    await containers.start(engine, name)
    async with exec.started(engine, name, ["/bin/sh", "-c", "read line; echo got $line; exit 7"], tty=True) as session:
        await session.resize(24, 80)
        await session.write(b"hello\n")
        output = b""
        while frame := await session.read():
            output += frame.data
        assert b"got hello" in output
        assert await session.exit_code() == 7


async def test_a_volume_is_there_once(engine: Engine) -> None:
    name = f"pier-contract-{uuid.uuid4().hex[:8]}"
    labels = {"contract": name}
    await volumes.ensure(engine, name, labels)
    assert (await volumes.ensure(engine, name, labels)).path
    assert [one.name for one in await volumes.listing(engine, labels)] == [name]
    await volumes.remove(engine, name)
    assert await volumes.listing(engine, labels) == []


async def _next(seen: AsyncIterator[events.Event]) -> events.Event:
    async with asyncio.timeout(10):
        return await anext(seen)


def _body(image: str, script: str, more: Mapping[str, object] | None = None) -> dict[str, object]:
    host = {"PortBindings": {"8000/tcp": [{"HostPort": "0"}]}, "Init": True}
    return {"Image": image, "Entrypoint": ["/bin/sh", "-c", script], "HostConfig": host, **(more or {})}


def _busybox() -> bytes:
    found = shutil.which("busybox")
    assert found, "busybox is needed to make an image from"
    return Path(found).read_bytes()


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
