"""The keys of one file, which this server alone writes: what it says is on disk before anything is sealed with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pierhead.kit import errors, files
from pierhead.model import keys
from pierhead.model.keys import Keys


class Keyring:
    def __init__(self, held: Keys, file: Path | None = None) -> None:
        """Without a file it is forgotten with the process."""
        self.held, self._file = held, file
        self.lock = asyncio.Lock()
        """Who holds it seals and writes what no transaction does; the key is not replaced meanwhile."""
        self.unreadable: set[str] = set()
        """What no key of the file opened when it was to be sealed anew."""

    @classmethod
    def kept(cls, file: Path) -> Keyring:
        """What `file` holds; a fresh key, when it is not there. Raises: Invalid (it holds something else)."""
        if not file.exists():
            files.replace(file, keys.text(Keys(keys.fresh())))
        try:
            return cls(keys.read(file.read_text()), file)
        except ValueError as error:
            raise errors.Invalid(
                f"{file} {error}.", hint="Put its copy there from your backup: without it nothing sealed can be opened."
            ) from error

    def seal(self, value: bytes) -> bytes:
        """Seal in the transaction that writes it, or it may come after the key was replaced."""
        return self.held.seal(value)

    def open(self, sealed: bytes) -> bytes:
        """Raises: Broken (none of the keys has sealed it)."""
        try:
            return self.held.open(sealed)
        except ValueError as error:
            raise errors.Broken(
                f"A value cannot be opened: {error}.",
                hint="Put the `secret.key` of its time back, or set the value again.",
            ) from error

    def change(self, wanted: Keys) -> None:
        """These are the keys, also after a power failure."""
        if self._file and wanted != self.held:
            files.replace(self._file, keys.text(wanted))
        self.held = wanted
