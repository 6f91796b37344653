from __future__ import annotations

import pytest

from pierhead.kit import clock, errors
from pierhead.wire.docker import events


def test_a_line_of_the_stream_is_an_event() -> None:
    line = (
        b'{"Type":"container","Action":"kill","Actor":{"ID":"abc","Attributes":{"name":"web","signal":"18"}},'
        b'"timeNano":1795417215123456789}'
    )
    found = events.read(line)
    assert (found.kind, found.action, found.id, found.signal, found.exit_code) == ("container", "kill", "abc", 18, None)
    assert clock.text(found.at) == "2026-11-23T07:00:15.123Z"


def test_an_end_has_an_exit_code() -> None:
    line = b'{"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":{"exitCode":"137"}},"timeNano":1}'
    assert events.read(line).exit_code == 137


def test_a_line_that_was_cut_short_is_no_event() -> None:
    with pytest.raises(errors.Unavailable):
        events.read(b'{"Type":"cont')
