"""A file of keys, and what they seal: AES-GCM, with the key's id in front. Pure but for the nonce of a seal.

One key of a file seals; the others only open, while values are sealed anew or before a new key is taken. So a key can
be replaced step by step, and whoever is killed between two steps can still open everything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES, _ID_BYTES = 12, 8
_MARK = b"pk1"
"""In front of what is sealed; what was sealed before there were ids begins with its nonce."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Those of one file."""

    current: bytes = field(repr=False)
    """Seals."""
    old: bytes | None = field(default=None, repr=False)
    """Opens what is not sealed anew yet."""
    coming: bytes | None = field(default=None, repr=False)
    """Will be the current one; opens what servers that have it already have sealed."""

    @property
    def prefix(self) -> bytes:
        """What everything begins with that the current key has sealed."""
        return _MARK + _id(self.current)

    @property
    def id(self) -> str:
        """Which key is the current one, without telling it."""
        return _id(self.current).hex()

    def seal(self, value: bytes, bound: bytes | None = None) -> bytes:
        """Mark, id of the key, a fresh nonce, the ciphertext. Opens only where it is `bound` to the same."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.prefix + nonce + AESGCM(self.current).encrypt(nonce, value, bound)

    def open(self, sealed: bytes, bound: bytes | None = None) -> bytes:
        """The value that `seal` was given. Raises: ValueError (none of the keys has sealed it)."""
        for key in self._opening():
            own = _MARK + _id(key)
            parts = [sealed[len(own) :]] if sealed.startswith(own) else []
            for part in [*parts, sealed]:
                try:
                    return AESGCM(key).decrypt(part[:_NONCE_BYTES], part[_NONCE_BYTES:], bound)
                except (InvalidTag, ValueError):  # ValueError: too short to be sealed
                    continue
        raise ValueError("it was sealed with another key")

    def rotated(self) -> Keys:
        """The coming key, or a fresh one, seals; the one that did only opens. The same when that is so already."""
        return self if self.old else Keys(self.coming or fresh(), old=self.current)

    def settled(self) -> Keys:
        """Only the current key is left."""
        return Keys(self.current)

    def prepared(self) -> Keys:
        """There is a coming key."""
        return replace(self, coming=self.coming or fresh())

    def _opening(self) -> Iterator[bytes]:
        yield from (key for key in (self.current, self.old, self.coming) if key)


def fresh() -> bytes:
    return os.urandom(KEY_BYTES)


def read(text: str) -> Keys:
    """The keys of a file: a line in hexadecimal, then `old …`, `coming …`. Raises: ValueError."""
    found: dict[str, bytes] = {}
    for line in text.splitlines():
        name, _, number = line.strip().rpartition(" ")
        key = bytes.fromhex(number)
        if name in found or name not in ("", "old", "coming") or len(key) != KEY_BYTES:
            raise ValueError(f"is no key: {KEY_BYTES} bytes in hexadecimal")
        found[name] = key
    if "" not in found:
        raise ValueError(f"is no key: {KEY_BYTES} bytes in hexadecimal")
    return Keys(found[""], found.get("old"), found.get("coming"))


def text(keys: Keys) -> str:
    """The file that `read` reads."""
    lines = [("", keys.current), ("old ", keys.old), ("coming ", keys.coming)]
    return "".join(f"{name}{key.hex()}\n" for name, key in lines if key)


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"pierhead key " + key).digest()[:_ID_BYTES]
