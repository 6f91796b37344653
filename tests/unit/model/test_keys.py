"""A file of keys: what one seals the others open, and nothing that was sealed before is lost."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pierhead.model import keys
from pierhead.model.keys import Keys

FIRST = Keys(bytes(32))


def test_a_key_is_replaced_step_by_step_and_everything_opens_at_each() -> None:
    before = FIRST.seal(b"one", b"place")
    rotating = FIRST.rotated()
    assert rotating.rotated() is rotating
    after = rotating.seal(b"two")
    assert (rotating.open(before, b"place"), rotating.open(after)) == (b"one", b"two")
    assert (before.startswith(rotating.prefix), after.startswith(rotating.prefix)) == (False, True)
    settled = rotating.settled()
    assert settled.open(after) == b"two"
    with pytest.raises(ValueError, match="another key"):
        settled.open(before, b"place")
    with pytest.raises(ValueError, match="another key"):
        rotating.open(before, b"another place")


def test_what_was_sealed_before_keys_had_ids_opens() -> None:
    nonce = os.urandom(12)
    assert FIRST.rotated().open(nonce + AESGCM(bytes(32)).encrypt(nonce, b"old", None)) == b"old"


def test_a_coming_key_opens_what_a_server_that_took_it_has_sealed() -> None:
    gateway = FIRST.prepared()
    assert gateway.prepared() == gateway
    server = gateway.rotated()
    assert gateway.open(server.seal(b"x")) == b"x"
    assert server.settled() == Keys(server.current)


def test_a_file_holds_them_and_tells_no_other_what_they_are() -> None:
    held = FIRST.prepared().rotated().prepared()
    assert keys.read(keys.text(held)) == held
    assert keys.read("00" * 32) == FIRST
    assert "00" * 8 not in repr(held)
    for text in ("", "00", "xyz", "old " + "00" * 32, f"{'00' * 32}\nnew {'00' * 32}", f"{'00' * 32}\n{'11' * 32}"):
        with pytest.raises(ValueError, match="hex"):
            keys.read(text)
