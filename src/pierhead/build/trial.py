"""The owner's tests, run in a container of the image that was built, before it is released.

The container and the services that it declares are alone on a network from which nothing outside is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from pierhead.build import kitchen, report
from pierhead.build.kitchen import Kitchen
from pierhead.build.report import Report
from pierhead.kit import errors
from pierhead.model.app import TestService, TestSpec
from pierhead.wire.docker import containers, networks
from pierhead.wire.docker.containers import Container

STEP = "test"
_SERVICE_LIMIT = timedelta(minutes=2)
_LOOK = timedelta(milliseconds=200)
_LARGEST_REPORT = 8 << 20
_LAST_LINES = 25
_CLEAN_UP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the tests ended; the report is kept also when they failed."""

    failure: errors.PierError | None
    xml: bytes
    """The JUnit report as it was written; empty: there is none."""
    report: Report | None


async def run(place: Kitchen, image: str, spec: TestSpec) -> Outcome:
    """The tests have run, and nothing of them runs any more. Raises: NotFound, Failed (a service), Unavailable."""
    await kitchen.pulled(place, image)
    async with _network(place) as network, contextlib.AsyncExitStack() as started:
        for name, service in spec.services.items():
            await started.enter_async_context(_serving(place, network, name, service))
        how: dict[str, object] = {"Entrypoint": [""], "Cmd": list(spec.command), "Env": _env({"CI": "1", **spec.env})}
        body = _body(place, image, network, how)
        async with _container(place, body) as container:
            await containers.start(place.engine, container)
            try:
                async with asyncio.timeout(spec.timeout.total_seconds()):
                    lines = await kitchen.logged(place, STEP, container)
                    code = await containers.wait(place.engine, container)
            except TimeoutError:
                reason = f"The tests took longer than {spec.timeout.total_seconds():g} s."
                return Outcome(errors.Failed(reason, hint="test.timeout in pier.yaml is the limit."), b"", None)
            xml = await _report(place, container, spec.report) if spec.report else b""
    return await _outcome(place, code, lines, xml)


async def _outcome(place: Kitchen, code: int, lines: list[str], xml: bytes) -> Outcome:
    found: Report | None = None
    if xml:
        try:
            found = report.read(xml)
            await place.log(STEP, str(found))
        except errors.Invalid as error:
            await place.log(STEP, error.message)
    if not code:
        return Outcome(None, xml, found)
    named = "".join(f"\n  {name}" for name in found.failures) if found else ""
    last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
    text = f"The tests failed with exit code {code}{f' ({found})' if found else ''}:{named or chr(10) + last}"
    return Outcome(errors.Failed(text, hint="test.command in pier.yaml; the log has all that it wrote."), xml, found)


@asynccontextmanager
async def _network(place: Kitchen) -> AsyncIterator[str]:
    name = f"pier-test-{uuid.uuid4().hex[:12]}"
    network = await networks.create(place.engine, name, {kitchen.OWNER: place.owner}, internal=True)
    try:
        yield network
    finally:
        async with asyncio.timeout(_CLEAN_UP_SECONDS):
            await networks.remove(place.engine, network)


@asynccontextmanager
async def _serving(place: Kitchen, network: str, name: str, service: TestService) -> AsyncIterator[None]:
    """The service is there under its name; healthy, where its image says how that is seen. Raises: Failed."""
    await place.log(STEP, f"starts {name}: {service.image}")
    await kitchen.pulled(place, service.image)
    how: dict[str, object] = {
        "Env": _env(service.env),
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [name]}}},
    }
    if service.command:
        how["Cmd"] = list(service.command)
    body = _body(place, service.image, network, how)
    async with _container(place, body) as container:
        await containers.start(place.engine, container)
        try:
            async with asyncio.timeout(_SERVICE_LIMIT.total_seconds()):
                found = await _settled(place, container)
        except TimeoutError:
            raise errors.Failed(f"The tests' service {name} was not healthy in time.") from None
        if not found.running or found.health == "unhealthy":
            last = [frame.data.decode(errors="replace") async for frame in containers.logs(place.engine, container)]
            raise errors.Failed(f"The tests' service {name} does not run:\n{''.join(last[-_LAST_LINES:])}")
        yield


async def _settled(place: Kitchen, container: str) -> Container:
    """The container, once it is no longer starting."""
    while True:
        found = await containers.inspect(place.engine, container)
        if found.health != "starting":
            return found
        await asyncio.sleep(_LOOK.total_seconds())


@asynccontextmanager
async def _container(place: Kitchen, body: dict[str, object]) -> AsyncIterator[str]:
    container = await containers.create(place.engine, body)
    try:
        yield container
    finally:
        async with asyncio.timeout(_CLEAN_UP_SECONDS):
            await containers.remove(place.engine, container, force=True)


def _body(place: Kitchen, image: str, network: str, changed: dict[str, object]) -> dict[str, object]:
    return {
        "Image": image,
        "Labels": {kitchen.LABEL: STEP, kitchen.OWNER: place.owner},
        "HostConfig": {**kitchen.limits(place.limits), "NetworkMode": network},
        **changed,
    }


def _env(env: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


async def _report(place: Kitchen, container: str, path: str) -> bytes:
    """The file that the tests wrote; empty when there is none."""
    try:
        async with containers.archive(place.engine, container, path) as pieces:
            packed = bytearray()
            async for piece in pieces:
                packed += piece
                if len(packed) > _LARGEST_REPORT:
                    await place.log(STEP, f"{path} has more than {_LARGEST_REPORT >> 20} MiB, and is not kept")
                    return b""
    except errors.NotFound:
        await place.log(STEP, f"the tests wrote no {path}")
        return b""
    with tarfile.open(fileobj=io.BytesIO(bytes(packed))) as tar:
        content = next((tar.extractfile(member) for member in tar if member.isreg()), None)
        return content.read() if content else b""
