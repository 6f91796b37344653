"""kill -9 of the controller, the worker and the master before and after each step of a change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.lab.gateway_lab import Backend, Lab, lab, until
from tests.lab.striking_gateway import STEPS

from pierhead.testing.ports import free_port

HOST = "notes.test"
STRUCTURAL = ("check", "reload")
VICTIMS = ("worker", "master", "controller")
"""In this order: HAProxy is started again more slowly each time, until the controller is a new one."""


@pytest.mark.timeout(300)
async def test_whoever_is_killed_at_any_step_of_a_change_it_comes_about(tmp_path: Path) -> None:
    async with lab(tmp_path) as gateway:
        await gateway.start_child()
        await gateway.route("notes", service="notes-dev", hosts=[HOST])
        instance = await gateway.backend("first")
        await gateway.register("notes-dev", instance)
        await until(lambda: gateway.answers(HOST, 200))
        for number, (step, victim) in enumerate(itertools.product(STEPS, VICTIMS)):
            async with asking(gateway) as answers:
                instance = await one_change(gateway, f"n{number}", instance, step, victim)
            allowed = {200} if victim == "controller" else {200, 0}  # a connection to a killed HAProxy is lost
            assert set(answers) <= allowed, f"{answers} with the {victim} killed {step}"
            assert answers[200] > 0
        await until(gateway.has_nothing_pending)
        await until(lambda: is_answered_by(gateway, {instance.name}), 60, "only the last instance is asked")
        assert (await gateway.status())["problems"] == []


async def one_change(gateway: Lab, name: str, before: Backend, step: str, victim: str) -> Backend:
    """An instance takes another one's place, a name comes, and for a step of a reload a port, in spite of it all."""
    newest, port = await gateway.backend(name), free_port()
    await until(gateway.has_nothing_pending, 60)
    await gateway.strike(step, victim)
    if step.endswith(STRUCTURAL):
        await gateway.route(f"{name}-port", service="notes-dev", service_port=port)
    await gateway.register("notes-dev", newest)
    await gateway.route(name, service="notes-dev", hosts=[f"{name}.test"])
    await gateway.deregister(before)
    await until(lambda: struck(gateway), 60, f"the {victim} is killed {step}")
    if victim == "controller":
        await until(gateway.has_ended, 60)
        await gateway.start_child()
    for what, true in {
        "the instance": lambda: gateway.is_in("ready", "notes-dev", newest),
        "the one before is gone": lambda: is_gone(gateway, before),
        "the name": lambda: gateway.answers(f"{name}.test", 200, name),
        "the port": lambda: listens(port if step.endswith(STRUCTURAL) else gateway.options.http_port),
    }.items():
        await until(true, 60, f"{what}, the {victim} killed {step}")
    return newest


async def is_answered_by(gateway: Lab, names: set[str]) -> bool:
    """A worker that came of a reload whose controller was killed is found, and set right, within a second."""
    return {(await gateway.get(HOST))[1] for _ in range(8)} == names


async def is_gone(gateway: Lab, backend: Backend) -> bool:
    return await gateway.server("notes-dev", backend) is None


async def struck(gateway: Lab) -> bool:
    return gateway.struck.exists()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@contextlib.asynccontextmanager
async def asking(gateway: Lab) -> AsyncIterator[Counter[int]]:
    """Requests go on meanwhile; the answers are counted by their status, 0 for a connection that was lost."""
    found, is_over = Counter[int](), asyncio.Event()

    async def ask() -> None:
        while not is_over.is_set():
            found[(await gateway.get(HOST))[0]] += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ask())
        try:
            yield found
        finally:
            is_over.set()
