"""A real PostgreSQL for tests: Debian's package, a server of its own in a folder that goes with it."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from pierhead.kit import errors
from pierhead.testing import ports

_PROGRAMS = Path("/usr/lib/postgresql")
_USER = "postgres"
_START_LIMIT, _STOP_LIMIT = timedelta(seconds=60), timedelta(seconds=20)
_CONFIG = ("fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB")


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    password: str
    folder: Path

    def url(self, name: str = "postgres") -> str:
        """Of the database of that name, without the password."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"

    async def fresh(self) -> str:
        """The name of a database in which nothing is."""
        name = f"pier_{secrets.token_hex(6)}"
        async with await psycopg.AsyncConnection.connect(self.url(), password=self.password, autocommit=True) as db:
            await db.execute(f"CREATE DATABASE {name}".encode())
        return name

    async def drop(self, name: str) -> None:
        """That database is gone; nobody uses it any more."""
        async with await psycopg.AsyncConnection.connect(self.url(), password=self.password, autocommit=True) as db:
            await db.execute(f"DROP DATABASE {name}".encode())

    async def stop(self) -> None:
        """At once, as when its machine fails; `start` brings it back with what it had."""
        await asyncio.to_thread(_as_user, "pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    async def start(self) -> None:
        """It answers. Raises: Unavailable with what it said."""
        log = self.folder / "log"
        limit, options = str(round(_START_LIMIT.total_seconds())), _options(self.port)
        command = ("pg_ctl", "-D", str(self.folder / "data"), "-l", str(log), "-w", "-t", limit, "-o", options, "start")
        try:
            await asyncio.to_thread(_as_user, *command)
        except subprocess.CalledProcessError as error:
            raise errors.Unavailable(f"PostgreSQL did not start: {error.stderr}{log.read_text()[-2000:]}") from error


@asynccontextmanager
async def serving() -> AsyncIterator[Running]:
    """One server on a port of loopback, until the end. Raises: Unavailable."""
    folder = Path(tempfile.mkdtemp(prefix="pier-postgresql-"))
    server = Running(ports.free_port(), secrets.token_hex(8), folder)
    try:
        await asyncio.to_thread(_initialise, server)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def _initialise(server: Running) -> None:
    (server.folder / "password").write_text(server.password)
    if os.getuid() == 0:
        account = pwd.getpwnam(_USER)
        for path in (server.folder, server.folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    data, password = str(server.folder / "data"), f"--pwfile={server.folder / 'password'}"
    _as_user("initdb", "-D", data, "-U", _USER, "-A", "scram-sha-256", password, "-E", "UTF8", "--no-sync")


def _options(port: int) -> str:
    return " ".join(f"-c {setting}" for setting in (*_CONFIG, f"port={port}"))


def _as_user(program: str, *arguments: str) -> None:
    """PostgreSQL refuses to run as root. Raises: CalledProcessError."""
    found = max(_PROGRAMS.glob(f"*/bin/{program}"), default=None)
    if found is None:
        raise errors.Unavailable(
            f"There is no {program} below {_PROGRAMS}.", hint="`scripts/setup --tests` installs it."
        )
    user = _USER if os.getuid() == 0 else None
    subprocess.run([found, *arguments], check=True, user=user, cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
