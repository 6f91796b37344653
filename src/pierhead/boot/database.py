"""Where the server's database is, from the settings."""

from __future__ import annotations

from pathlib import Path

from pierhead.settings import Settings, load
from pierhead.store.postgresql import Address


def place(settings: Settings) -> Path | Address:
    """The file of SQLite, or the PostgreSQL that the settings name. Raises: Invalid, NotFound, Denied."""
    told = settings.database
    if not told.url:
        return settings.home / "pier.db"
    password = load.secret("database.password_file", Path(told.password_file)) if told.password_file else ""
    return Address(told.url, password)
