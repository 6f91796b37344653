"""A sealed key can be opened with the right key, under its own name and with its own chain, and in no other way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pierhead.kit import clock
from pierhead.model import certificate
from pierhead.model.keys import Keys
from pierhead.testing.authority import Authority

KEY = Keys(bytes(32))
AUTHORITY = Authority()
MADE = AUTHORITY.make("shop.test", "*.shop.test")


def test_what_is_sealed_is_opened_as_it_was() -> None:
    held = certificate.read("shop", MADE.chain + AUTHORITY.pem, MADE.key)
    document = certificate.seal(held, KEY)
    assert certificate.opened("shop", document, KEY) == held
    assert held.names == ("shop.test", "*.shop.test")
    assert "PRIVATE" not in str(document)
    assert MADE.key not in repr(held)
    assert certificate.told(document) == (held.names, held.ends_at)


def test_a_sealed_key_is_of_no_use_elsewhere() -> None:
    document = certificate.seal(certificate.read("shop", MADE.chain, MADE.key), KEY)
    stolen = document | {"chain": AUTHORITY.make("evil.test").chain}
    for name, found, key in (
        ("shop", document, Keys(bytes([1] * 32))),
        ("other", document, KEY),
        ("shop", stolen, KEY),
    ):
        with pytest.raises(ValueError, match="sealed with another key"):
            certificate.opened(name, found, key)


@pytest.mark.parametrize(
    ("name", "chain", "key", "reason"),
    [
        ("No!", MADE.chain, MADE.key, "no name for a certificate"),
        ("shop", "x", MADE.key, "the certificate is no PEM"),
        ("shop", MADE.chain, "x", "there is no private key"),
        ("shop", MADE.chain, MADE.chain, "there is no private key"),
        ("shop", MADE.chain, AUTHORITY.make("b.test").key, "the key does not belong to the certificate"),
        ("shop", AUTHORITY.pem + MADE.chain, MADE.key, "the chain is not in order"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(name: str, chain: str, key: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        certificate.read(name, chain, key)


def test_an_end_is_told_two_weeks_before() -> None:
    now = clock.now()
    assert certificate.fault(now + timedelta(days=15), now) == ""
    assert "in 3 days" in certificate.fault(now + timedelta(days=3, hours=1), now)
    assert "browsers refuse it" in certificate.fault(now, now)
