"""Two servers on one database: the one that was stopped while it moved a deployment changes nothing when it goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.unit.control.releasing import released

from pierhead.control import deployments
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.model.app import Spec
from pierhead.model.keys import Keys
from pierhead.settings import Settings
from pierhead.store import journal, session
from pierhead.store.journal import Subject
from pierhead.store.postgresql import Address
from pierhead.store.session import Store
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

LEASE = timedelta(seconds=2)
SERVER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from pierhead.control import apps, deployments, receipts
from pierhead.model.receipt import Receipt
from pierhead.model.release import DeploymentState
from pierhead.store import session
from pierhead.store.postgresql import Address
from tests.contract.test_fencing import LEASE, context

async def main(home, owner):
    async with session.opened(Address(*sys.argv[3:]) if sys.argv[3:] else home / "pier.db") as store:
        ctx = context(store, home, owner)
        print("there", flush=True)
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            try:
                print(await done(ctx, *words), flush=True)
            except deployments.Lost:
                print("lost", flush=True)

async def done(ctx, what, *values):
    one = await deployments.find(ctx, 1)
    match what:
        case "claim": return await apps.claim(ctx, "notes", "dev", LEASE)
        case "share": return await deployments.shared(ctx, 1, int(values[0]))
        case "note": return await deployments.note(ctx, 1, "create", "by the slow one")
        case "hook": return await deployments.hooked(ctx, one, "pre_deploy", "succeeded", ["by the slow one"])
        case "receipt": return await receipts.keep(ctx, 1, Receipt(seconds=99.0))
        case "fail": return await deployments.end(ctx, 1, DeploymentState.FAILED, "by the slow one")
        case "succeed": return await deployments.succeeded(ctx, one, "by the slow one")

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""
WRITES = ("share 10", "note", "hook", "receipt", "fail", "succeed")


def context(store: Store, home: Path, owner: str) -> Context:
    engine, catalog = Engine("unix:///nowhere"), Consul("http://127.0.0.1:9")
    keys = Keyring(Keys(bytes(32)))
    return Context(store, Settings(home=home), owner, keys, engine, catalog, Gateways(), keys)


@dataclass
class Server:
    process: asyncio.subprocess.Process

    def tell(self, words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{words}\n".encode())

    async def answer(self) -> str:
        assert self.process.stdout
        async with asyncio.timeout(60):
            return (await self.process.stdout.readline()).decode().strip()

    async def ask(self, words: str) -> str:
        self.tell(words)
        return await self.answer()


@asynccontextmanager
async def server(home: Path, owner: str, at: Path | Address) -> AsyncIterator[Server]:
    place = [at.url, at.password] if isinstance(at, Address) else []
    pipe = asyncio.subprocess.PIPE
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(home), owner, *place, stdin=pipe, stdout=pipe, env=env
    )
    started = Server(process)
    try:
        assert await started.answer() == "there"
        yield started
    finally:
        process.kill()
        await process.wait()


async def test_who_was_stopped_until_another_took_over_changes_nothing(tmp_path: Path) -> None:
    await fenced(tmp_path / "pier.db", tmp_path)


async def fenced(at: Path | Address, folder: Path) -> None:
    """Fails when the one that was stopped changes something in the database at `at`."""
    async with session.opened(at) as store:
        ctx = context(store, folder, "a person")
        deployment = await released(ctx, Spec("notes"))
        async with server(folder, "slow", at) as slow, server(folder, "quick", at) as quick:
            assert await slow.ask("claim") == "True"
            assert await quick.ask("claim") == "False"
            slow.process.send_signal(signal.SIGSTOP)
            for write in WRITES:
                slow.tell(write)
            async with asyncio.timeout(60):
                while await quick.ask("claim") != "True":
                    pass
            assert await quick.ask("share 50") == "None"
            slow.process.send_signal(signal.SIGCONT)
            assert [await slow.answer() for _ in WRITES] == ["lost"] * len(WRITES)
            held = await deployments.find(ctx, deployment.id)
            assert (held.share, held.hooks, held.state.has_ended) == (50, {}, False)
            async with ctx.store.read() as db:
                entries = await journal.after(db, Subject.DEPLOYMENT, deployment.id, 0)
            assert [one.step for one in entries] == ["release"]
            assert (await deployments.cancel(ctx, deployment.id, "mia")).state.has_ended  # a person always may
