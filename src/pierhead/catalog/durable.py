"""The catalog on disk: SQLite in WAL mode, written by one thread, many changes a commit.

A batch is on disk, fsync and all, before `written` is called with its index. Nothing here knows what a row means.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from pierhead.catalog import records
from pierhead.catalog.ledger import Batch, Key
from pierhead.kit import errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_PUT = """
INSERT INTO rows (key, value)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?) WHERE true
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
_DROP = "DELETE FROM rows WHERE key IN (SELECT value FROM json_each(?))"
_SET = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

_INDEX = '["index"]'
"""The row that holds the index, so that one statement writes it with all others."""

Written = Callable[[int, BaseException | None], None]


class Durable:
    """The file `catalog.sqlite` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "catalog.sqlite"
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def load(self) -> tuple[list[records.Row], int, dict[str, str]]:
        """Every row, the index, and the other facts that are kept. Raises: Broken when the file cannot be used."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(_connect(self._path)) as connection:
                connection.executescript(_SCHEMA)
                facts = dict(connection.execute("SELECT name, value FROM meta"))
                values = dict(connection.execute("SELECT key, value FROM rows"))
        except (OSError, sqlite3.Error) as error:
            raise errors.Broken(
                f"The catalog's file {self._path} cannot be used: {error}",
                hint="Give the process its own folder with room on the disk, or restore the file from a backup.",
            ) from error
        index = int(values.pop(_INDEX, "1"))
        return [_row(key, value) for key, value in values.items()], index, facts

    def keep(self, facts: Mapping[str, str]) -> None:
        """The facts are on disk when this returns; only before `start`."""
        with closing(_connect(self._path)) as connection:
            connection.executemany(_SET, facts.items())

    def start(self, written: Written) -> None:
        """Batches are written from now on; `written` is called on the writer's thread."""
        self._thread = threading.Thread(target=self._write, args=(written,), name="catalog-writer", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        """The batch will be on disk soon, after all those before it."""
        self._batches.put(batch)

    def stop(self) -> None:
        """Everything given to `write` is on disk and the file is closed. Blocks."""
        if self._thread:
            self._batches.put(None)
            self._thread.join()

    def _write(self, written: Written) -> None:
        connection = _connect(self._path)
        try:
            while batches := self._next():
                try:
                    _commit(connection, batches)
                except sqlite3.Error as error:
                    written(batches[-1].index, error)
                    return
                written(batches[-1].index, None)
        finally:
            connection.close()

    def _next(self) -> list[Batch]:
        """Everything that waits, at least one batch; empty: it is time to stop."""
        first = self._batches.get()
        if first is None:
            return []
        batches = [first]
        while not self._batches.empty():
            batch = self._batches.get()
            if batch is None:
                self._batches.put(None)
                break
            batches.append(batch)
        return batches


def _commit(connection: sqlite3.Connection, batches: list[Batch]) -> None:
    """The batches are on disk, all or none. In one statement where possible: each waits for the interpreter's lock."""
    rows: dict[Key, records.Row | None] = {}
    for batch in batches:
        rows.update(batch.rows)
    there = [(_key(key), json.dumps(records.dump(row))) for key, row in rows.items() if row is not None]
    gone = [_key(key) for key, row in rows.items() if row is None]
    there.append((_INDEX, str(batches[-1].index)))
    if not gone:
        connection.execute(_PUT, (json.dumps(there),))
        return
    connection.execute("BEGIN")
    connection.execute(_PUT, (json.dumps(there),))
    connection.execute(_DROP, (json.dumps(gone),))
    connection.execute("COMMIT")


def _key(key: Key) -> str:
    return json.dumps([key[0], *key[1]])


def _row(key: str, value: str) -> records.Row:
    return records.load(json.loads(key)[0], json.loads(value))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    return connection
