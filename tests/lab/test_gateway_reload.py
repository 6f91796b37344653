"""While HAProxy is reloaded, which takes long in a large estate, what needs no reload must not wait for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.testing.ports import free_port

HOST = "notes.test"
_HELD = """\
#!/bin/sh
if [ "$1" = -c ] && [ -e {hold} ]; then
  touch {waits}
  while [ -e {hold} ]; do sleep 0.02; done
fi
exec haproxy "$@"
"""


async def test_endpoints_come_drain_and_leave_while_a_reload_is_under_way(tmp_path: Path) -> None:
    hold, waits, program = tmp_path / "hold", tmp_path / "waits", tmp_path / "haproxy"
    program.write_text(_HELD.format(hold=hold, waits=waits))
    program.chmod(0o700)
    async with lab(tmp_path, haproxy=str(program)) as gateway:
        await gateway.start()
        await gateway.route("notes", service="notes-dev", hosts=[HOST])
        first = await add(gateway, "first")
        await until(lambda: gateway.is_in("ready", "notes-dev", first))
        hold.touch()
        port = free_port()
        await gateway.route("port", service="notes-dev", service_port=port)
        await until(lambda: asyncio.to_thread(waits.exists), what="the reload is held up")
        second = await add(gateway, "second")
        await until(lambda: gateway.answers(HOST, 200, "second"))
        await gateway.drain(first)
        await until(lambda: gateway.is_in("draining", "notes-dev", first))
        assert {await gateway.get(HOST) for _ in range(10)} == {(200, "second")}
        third = await add(gateway, "third")
        await until(lambda: gateway.answers(HOST, 200, "third"))
        await gateway.deregister(second)
        await until(lambda: only(gateway, "third"))
        assert await gateway.reloads() == 0
        hold.unlink()
        await until(lambda: gateway.has_reloaded(1))
        await until(gateway.has_nothing_pending)
        assert {await gateway.get(HOST) for _ in range(10)} == {(200, "third")}
        assert await gateway.is_in("draining", "notes-dev", first)
        assert await gateway.is_in("ready", "notes-dev", third)
        async with gateway.session.get(f"http://127.0.0.1:{port}/") as response:
            assert await response.text() == "third"
        assert (await gateway.status())["haproxy"]["repairs"] == 0


async def add(gateway: Lab, name: str) -> Backend:
    found = await gateway.backend(name)
    await gateway.register("notes-dev", found)
    return found


async def only(gateway: Lab, name: str) -> bool:
    return {await gateway.get(HOST) for _ in range(6)} == {(200, name)}
