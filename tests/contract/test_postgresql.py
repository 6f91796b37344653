"""PostgreSQL in the place of SQLite: what holds of the one holds of the other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contract.test_fencing import context, fenced

from pierhead.control import rotation, secrets
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.model.keys import Keys
from pierhead.settings import Database, Settings
from pierhead.store import apps, journal, session
from pierhead.store.journal import Subject
from pierhead.store.postgresql import Address
from pierhead.testing import postgresql
from pierhead.testing.postgresql import Running

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Running]:
    async with postgresql.serving() as running:
        yield running


async def fresh(server: Running) -> Address:
    return Address(server.url(await server.fresh()), server.password)


@pytest.mark.timeout(600)
async def test_what_is_promised_of_sqlite_is_true_of_postgresql(server: Running) -> None:
    folders = ("tests/unit/store", "tests/unit/control", "tests/unit/api")
    command = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *folders,
        "--postgresql",
        f"{server.port} {server.password}",
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


async def test_who_was_stopped_until_another_took_over_changes_nothing(server: Running, tmp_path: Path) -> None:
    await fenced(await fresh(server), tmp_path)


async def test_servers_that_start_at_once_migrate_once_and_write_one_after_the_other(
    server: Running, tmp_path: Path
) -> None:
    at = await fresh(server)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(asyncio.to_thread(session.migrate, at))
    async with session.opened(at) as one, session.opened(at) as other:
        contexts = [context(store, tmp_path, f"server-{n}") for n, store in enumerate((one, other))]
        async with asyncio.TaskGroup() as group:
            for n in range(30):
                group.create_task(secrets.put(contexts[n % 2], "notes", "dev", "KEY", b"%d" % n))
        assert [listed.version for listed in await secrets.listing(contexts[0], "notes", "dev")] == [30]


async def test_who_hangs_halfway_lets_the_others_go_on_and_has_written_nothing(server: Running) -> None:
    at = await fresh(server)
    async with session.opened(at) as hanging, session.opened(at) as other:
        with pytest.raises(errors.Unavailable, match="did not answer"):
            await _hang(hanging, _write(other, "whole"))
        await _write(hanging, "next")
        assert await _names(other) == ["next", "whole"]


async def test_a_database_that_fails_is_said_and_used_again_when_it_is_back(server: Running) -> None:
    async with session.opened(await fresh(server)) as store:
        await _write(store, "before")
        await server.stop()
        for refused in (_write(store, "meanwhile"), _names(store)):
            with pytest.raises(errors.Unavailable, match=r"did not answer(.|\n)*pg_isready"):
                await refused
        await server.start()
        await _write(store, "after")
        assert await _names(store) == ["after", "before"]


async def test_what_no_database_can_keep_is_shown_otherwise_or_refused(server: Running) -> None:
    async with session.opened(await fresh(server)) as store:
        async with store.write() as db:
            await journal.add(db, Subject.BUILD, 1, "command", "a\0b")
            assert [entry.text for entry in await journal.after(db, Subject.BUILD, 1, 0)] == ["a\ufffdb"]
        for impossible in ("a\0b", "a" * 41):
            with pytest.raises(errors.Invalid, match="cannot keep this"):
                await _write(store, impossible)


async def test_a_server_with_another_key_is_refused(server: Running, tmp_path: Path) -> None:
    at = await fresh(server)
    async with session.opened(at) as store:
        mine = replace(context(store, tmp_path, "mine"), settings=Settings(home=tmp_path, database=Database(at.url)))
        await rotation.check(mine)
        await secrets.put(mine, "notes", "dev", "KEY", b"value")
        await rotation.check(mine)
        with pytest.raises(errors.Conflict, match=r"another key(.|\n)*Copy secret.key"):
            await rotation.check(replace(mine, keys=Keyring(Keys(bytes(31) + b"1"))))


async def _hang(store: session.Store, meanwhile: Coroutine[None, None, None]) -> None:
    async with store.write() as db:
        await apps.ensure(db, "half")
        await meanwhile
        await apps.ensure(db, "other-half")


async def _write(store: session.Store, app: str) -> None:
    async with store.write() as db:
        await apps.ensure(db, app)


async def _names(store: session.Store) -> list[str]:
    async with store.read() as db:
        return [app.name for app in await apps.listing(db)]
