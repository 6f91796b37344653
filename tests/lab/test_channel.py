"""Commands, logs, use and inspection of instances, through the channel that their node's agent has opened."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.lab.agent_lab import until
from tests.lab.channel_lab import APP, NODE, TOKEN, Cloud, cloud, python

from pierhead import client
from pierhead.agent import channel, logs
from pierhead.agent.endpoint import Node
from pierhead.agent.logs import Place
from pierhead.control import tokens
from pierhead.control.channels import Where
from pierhead.kit import errors
from pierhead.testing import small
from pierhead.wire.channel import objects
from pierhead.wire.channel.link import Stream
from pierhead.wire.channel.terminal import OUTPUT_WINDOW, Said
from pierhead.wire.docker.logs import Wanted

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    async with cloud(tmp_path_factory.mktemp("channel")) as found:
        yield found


def running(seconds: str) -> list[int]:
    """Processes of this machine that are `sleep` for so long."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes().endswith(f"sleep\0{seconds}\0".encode()):
                found.append(int(file.parent.name))
    return found


def runs(text: str) -> Callable[[], Awaitable[bool]]:
    async def some() -> bool:
        return bool(running(text))

    return some


def ended(text: str) -> Callable[[], Awaitable[bool]]:
    async def none() -> bool:
        return not running(text)

    return none


async def test_a_terminal_has_its_size_follows_it_and_ends_with_its_code(there: Cloud) -> None:
    script = """until [ "$(stty size)" = "20 90" ]; do sleep 0.1; done; echo ready; read line; echo $line
    trap 'stty size' WINCH; trap 'exit 7' INT; echo set; while :; do sleep 0.1; done"""
    async with there.watch("sh", "-c", script, tty="true", rows="20", columns="90") as watch:
        await watch.until(b"ready")
        await watch.say(Said.INPUT, b"ty")
        await watch.say(Said.INPUT, b"ped\n")
        await watch.until(b"typed\r\ntyped\r\nset")
        await watch.say(Said.SIZE, rows=50, columns=132)
        await watch.until(b"50 132")
        await watch.say(Said.INPUT, b"\x03")
        assert await watch.ended() == 7


async def test_outputs_are_told_apart_and_signals_are_codes(there: Cloud) -> None:
    async with there.watch("sh", "-c", "echo out; echo err >&2; kill -TERM $$") as watch:
        assert await watch.ended() == 143
        assert (watch.out, watch.err) == (b"out\n", b"err\n")
    async with there.watch("nothing-like-this") as watch:
        assert await watch.ended() in (126, 127)


async def test_what_is_piped_through_comes_out_and_its_end_is_seen(there: Cloud) -> None:
    sent = bytes(range(256)) * 4096
    process = await there.pier(
        "exec", there.instance, "--", "sh", "-c", "cat; echo the end; exit 5", stdin=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate(sent)
    assert (process.returncode, err) == (5, b"")
    assert out == sent + b"the end\n"


async def test_a_shell_is_there_in_an_image_that_has_none(there: Cloud) -> None:
    bare = await there.run("v2", "", image=await bare_image(there), command=["/busybox", "sleep", "600"])
    for words in ((), ("sh", "-c", "ls /; exit 4")):
        async with there.watch(*words, instance=bare) as watch:
            await watch.say(Said.INPUT, b"ls /; exit 4\n")
            assert await watch.ended() == 4, watch
            assert b"busybox" in watch.out.split()


LEFT = """
trap '' HUP
setsid sleep 7{0} &
sleep 8{0} &
(setsid sh -c 'trap "" HUP; sleep 9{0} & sleep 6{0}' &)
echo begun
wait
"""


async def test_nothing_runs_on_when_its_watcher_leaves(there: Cloud) -> None:
    async with there.watch("sh", "-c", LEFT.format("001")) as watch:
        await watch.until(b"begun")
        await until(lambda: all_run("001"), what="all four run")
    for first in "6789":
        await until(ended(f"{first}001"), what=f"sleep {first}001 has ended")


async def all_run(number: str) -> bool:
    return all(running(f"{first}{number}") for first in "6789")


async def test_a_session_goes_on_over_a_cut_and_a_new_server(there: Cloud) -> None:
    counting = "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.1; done; read line; echo $line; exit 3"
    process = await there.pier("exec", there.instance, "--", "sh", "-c", counting, stdin=asyncio.subprocess.PIPE)
    assert process.stdout
    assert process.stdin
    seen = [int(await process.stdout.readline()) for _ in range(5)]
    await there.network.cut()
    await until(there.is_away, what="the server sees it")
    await there.network.mend()
    seen += [int(await process.stdout.readline()) for _ in range(10)]
    await there.stop_server()
    process.stdin.write(b"meanwhile\n")
    await there.start_server()
    seen += [int(await process.stdout.readline()) for _ in range(45)]
    assert seen == list(range(60))
    assert await process.stdout.readline() == b"meanwhile\n"
    assert await process.wait() == 3


async def test_a_session_goes_on_through_another_server(there: Cloud) -> None:
    async with there.another_server() as other:
        await there.stop_agent()
        await there.start_agent(servers=[*there.options().servers, other.settings.api_url])
        try:
            await other.connects()
            async with other.watch("sh", "-c", "echo begun; read line; echo $line; exit 5") as watch:
                await watch.until(b"begun")
                await other.stop_server()
                async with there.watch(session=watch.session, output=str(len(watch.out))) as again:
                    await again.say(Said.INPUT, b"on\n")
                    assert (await again.ended(), again.out) == (5, b"on\n")
        finally:
            await there.stop_agent()
            await there.start_agent()


async def test_a_session_whose_limit_is_over_has_ended(there: Cloud) -> None:
    await there.stop_agent()
    await there.start_agent(limit=timedelta(seconds=1))
    try:
        async with there.watch("sh", "-c", "echo begun; exec sleep 7002") as watch:
            await watch.until(b"begun")
            await until(runs("7002"), what="the shell has become what it runs")
            await there.network.cut()
            assert await watch.ended() is None
        await until(ended("7002"), what="it has ended")
        await there.network.mend()
        await there.connects()
        async with there.watch(session=watch.session, output=str(len(watch.out))) as late:
            await late.ended()
        assert isinstance(late.error, errors.NotFound)
        assert "session has ended" in late.error.message
    finally:
        await there.stop_agent()
        await there.start_agent()


@pytest.mark.parametrize("lost", ["to the node", "to the server"])
async def test_a_command_on_a_connection_that_is_dead_runs_once_on_the_next_one(there: Cloud, lost: str) -> None:
    """Nobody knows yet that the connection is dead when the command is asked for, or has just begun."""
    there.network.lost = lost
    async with there.watch("sh", "-c", "echo begun; exec sleep 7005") as watch:
        begun = asyncio.ensure_future(watch.until(b"begun"))  # noqa: TID251
        await until(lambda: is_asked(there, lost), what="the command is asked for")
        await there.network.cut()
        await there.network.mend()
        await begun
        await until(runs("7005"), what="it runs")
        assert (len(running("7005")), watch.out) == (1, b"begun\n")
    await until(ended("7005"), what="it has ended")


async def is_asked(there: Cloud, lost: str) -> bool:
    (_, link), *_ = there.ctx.channels._links.values()
    return bool(running("7005")) if lost == "to the server" else bool(link.mux.streams)


async def test_what_a_killed_agent_had_begun_has_ended_when_the_next_one_runs(there: Cloud) -> None:
    await there.stop_agent()
    await until(there.is_away, what="the server sees it")
    options = there.options()
    node = ("--node-name", NODE, "--data", str(options.data), "--advertise", "127.0.0.1", "--services", "/nowhere")
    where = ("--server", options.servers[0], "--catalog", there.agents.options.catalog_url, "--cluster", "nobody's")
    child = await asyncio.create_subprocess_exec(*python("agent", *node, *where))
    try:
        await there.connects()
        async with there.watch("sh", "-c", "echo begun; trap '' HUP PIPE; sleep 7004; sleep 7004") as watch:
            await watch.until(b"begun")
            await until(runs("7004"), what="it runs")
            child.kill()
            await child.wait()
            assert running("7004")
            await there.start_agent()
            await until(ended("7004"), what="it has ended")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
            await there.start_agent()


async def test_two_hundred_streams_at_once_and_one_reader_that_reads_nothing(there: Cloud) -> None:
    loud = await there.run("v3", "yes 0123456789012345678901234567890123456789 | head -n 100000; exec sleep 600")
    node = there.ctx.channels
    where = Where(NODE)
    async with AsyncExitStack() as stack:
        slow = await node.open(where, {"kind": "logs", "container": loud, "follow": True})
        stack.callback(slow.close)
        streams = [
            await node.open(where, {"kind": "logs", "container": loud, "follow": True, "tail": 20}) for _ in range(200)
        ]
        for stream in streams:
            found = await stack.enter_async_context(aclosing(objects.received(stream)))
            for _ in range(20):
                assert (await anext(found))["text"].startswith("0123")
        async with there.watch("sh", "-c", "echo still quick") as watch:
            assert await watch.ended() == 0
        waiting = sum(len(message) for message in slow._inbox)
        assert 0 < waiting <= 64 << 10


async def test_a_command_waits_for_a_watcher_that_takes_nothing(there: Cloud) -> None:
    stream = await there.ctx.channels.open(
        Where(NODE), {"kind": "command", "container": there.instance, "words": ["sh", "-c", "yes & wait"]}
    )
    seen = 0
    while seen < OUTPUT_WINDOW:
        message = await stream.receive()
        assert message
        seen += len(message) - 1 if message[0] == 1 else 0
    seen += await drained(stream, 0.5)
    assert seen <= OUTPUT_WINDOW + (64 << 10)
    with contextlib.suppress(errors.Conflict):  # it is closed at some point
        for _ in range(400):
            await stream.send(bytes([Said.INPUT]) + b"x" * 8192)
    with pytest.raises(errors.Invalid, match="sent and not taken"):
        await drained(stream, 30)
    stream.close()


async def drained(stream: Stream, seconds: float) -> int:
    """The bytes that came within that time."""
    seen = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while message := await stream.receive():
                seen += len(message) - 1
    return seen


async def test_logs_are_read_by_time_and_followed_into_later_releases(there: Cloud) -> None:
    await there.run("v4", "for i in 1 2 3; do echo v4-$i; done; sleep 1; echo v4-wrong >&2; exec sleep 600")

    async def all_is_said() -> bool:
        return "v4-wrong" in (await there.answer("logs", APP))[1]

    await until(all_is_said, what="the last line of v4")
    process = await there.pier("logs", APP, "-f", "--json", "--since", "1h", "--tail", "3")
    assert process.stdout
    seen = [json.loads(await process.stdout.readline())["text"]]
    while "v4-wrong" not in seen:
        seen.append(json.loads(await process.stdout.readline())["text"])
    await there.run("v5", "echo v5-first; exec sleep 600")
    while "v5-first" not in seen:
        seen.append(json.loads(await process.stdout.readline())["text"])
    process.terminate()
    await process.wait()
    assert [text for text in seen if text.startswith("v4")] == ["v4-2", "v4-3", "v4-wrong"]

    code, out, err = await there.answer("logs", APP, "--tail", "2", "--timestamps")
    assert (code, err) == (0, "")
    shown = [line.split()[0] for line in out.splitlines()]
    assert shown == sorted(shown)
    assert "v4-3" in out
    assert "v4-2" not in out
    path = f"/apps/{APP}/environments/dev/logs"
    async with there.api() as api:
        assert [event["kind"] async for event in api.events(path, since="0s")] == ["end"]
        with pytest.raises(errors.Invalid, match="not valid") as wrong:
            await api.get(path, since="yesterday")
    assert "2026-11-23" in wrong.value.problems[0].hint


async def test_following_goes_on_when_the_engine_starts_a_container_again(there: Cloud) -> None:
    engine = there.agents.engine
    name = await there.agents.container("echo line; sleep 600")
    found: list[str] = []

    async def read() -> None:
        async for line in logs.lines(engine, name, Wanted(follow=True), Place("")):
            found.append(line.text)
            if len(found) == 3:
                return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        for count in (1, 2):
            await until(partial(told, found, count), 20, f"{count} lines")
            await engine.post(f"/containers/{name}/restart", query={"t": 0})
        await reading
    assert found == ["line"] * 3


async def told(found: list[str], count: int) -> bool:
    return len(found) == count


async def test_use_and_inspection_tell_no_secret(there: Cloud) -> None:
    code, out, _ = await there.answer("stats", APP, "--json")
    uses = {use["instance"]: use for use in json.loads(out)}
    assert code == 0
    assert uses[there.instance]["memory_bytes"] > 0
    assert uses[there.instance]["processes"] >= 1
    env = {"DB_PASSWORD": "hush-hush", "DATABASE_URL": "redis://me:hush-hush@redis:6379", "COLOUR": "red"}
    secret = await there.run("v6", "exec sleep 600", env=env)
    code, out, _ = await there.answer("inspect", secret[:12], "--json")
    shown = json.loads(out)
    assert (code, shown["state"], shown["release"], shown["environment"]["COLOUR"]) == (0, "running", "v6", "red")
    assert "hush" not in out


async def test_a_node_that_is_not_connected_is_named(there: Cloud) -> None:
    await there.stop_agent()
    try:
        code, _, err = await there.answer("exec", there.instance, "--", "true")
        assert code == 7
        assert f"Node {NODE} is not connected since 2" in err
        assert f"pier node token create {NODE}" in err
        async with there.api() as api:
            with pytest.raises(errors.Unavailable, match="is not connected since"):
                await api.get(f"/apps/{APP}/environments/dev/logs")
    finally:
        await there.start_agent()


async def test_only_the_nodes_own_token_lets_it_in(there: Cloud) -> None:
    good = there.options().token_file.read_text()
    assert "does not know this node's token" in await refusal(there, "wrong")
    assert "does not know this node's token" in await refusal(there, TOKEN)
    assert "and the agent calls itself other" in await refusal(there, good, Node("x", "other", "", ""))
    assert f"Another agent is connected as node {NODE}" in await refusal(there, good, Node("x", NODE, "", ""))
    async with client.connected(there.settings.api_url, good) as api:
        with pytest.raises(errors.Denied):
            await api.get("/instances")
    await there.connects()


async def refusal(there: Cloud, token: str, node: Node | None = None) -> str:
    """What an agent with that token hears."""
    file = there.folder / "other-token"
    file.write_text(token)
    heard: asyncio.Queue[str] = asyncio.Queue()
    options = there.options(token_file=file, data=there.folder / "other")
    task = asyncio.ensure_future(  # noqa: TID251
        channel.run(options, node or Node("x", NODE, "", ""), heard.put_nowait)
    )
    async with asyncio.timeout(20):
        while not (problem := await heard.get()):
            pass
    task.cancel()
    await asyncio.wait([task])
    return problem


async def test_a_token_that_was_replaced_or_revoked_ends_the_connection(there: Cloud) -> None:
    code, out, _ = await there.answer("node", "token", "create", NODE, "--json")
    assert code == 0
    await until(there.is_away, what="it is disconnected")
    there.options().token_file.write_text(json.loads(out)["token"])
    await there.connects()
    async with there.api() as api:
        await api.delete(f"/nodes/{NODE}/token")
        await until(there.is_away, what="it is disconnected")
        with pytest.raises(errors.NotFound):
            await api.delete(f"/nodes/{NODE}/token")
    there.options().token_file.write_text(await tokens.create(there.ctx, NODE))
    await there.connects()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with aiohttp.ClientSession() as session:
            await session.ws_connect(f"{there.settings.api_url}{channel.PATH}")
    assert caught.value.status == 401


async def bare_image(there: Cloud) -> str:
    """An image that holds one program, and no shell."""
    return await small.image(there.agents.engine, "pier-channel-lab-bare:1", b"FROM scratch\nCOPY busybox /busybox\n")
