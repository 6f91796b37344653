"""Who may connect, and in which version."""

from __future__ import annotations

import pytest

from pierhead.kit import errors
from pierhead.wire.channel import frames, greeting
from pierhead.wire.channel.frames import Frame, Kind
from pierhead.wire.channel.greeting import Hello

NODE = Hello("id", "node-1", "swarm-id", "0.1.0", (1, 2))


def test_what_is_said_is_what_is_heard() -> None:
    assert greeting.read_hello(greeting.hello(NODE)) == NODE
    assert greeting.read_answer(greeting.welcome(1)) == 1


def test_the_newest_version_that_both_speak_is_spoken() -> None:
    assert greeting.agreed([1, 2, 9], [1, 2, 3]) == 2
    with pytest.raises(errors.Conflict, match=r"versions 9, the server 1, 2"):
        greeting.agreed([9], [1, 2])


def test_a_refusal_arrives_as_it_was_said() -> None:
    refusal = errors.Denied("Not you.", hint="Ask somebody.")
    with pytest.raises(errors.Denied, match="Not you") as caught:
        greeting.read_answer(greeting.refused(refusal))
    assert caught.value.hint == "Ask somebody."


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b'{"versions": "x"}'])
def test_a_greeting_that_says_too_little_is_refused(body: bytes) -> None:
    with pytest.raises(errors.Invalid):
        greeting.read_hello(frames.encode(Frame(Kind.HELLO, 0, body)))


def test_an_answer_of_another_kind_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="PING came where WELCOME was due"):
        greeting.read_answer(frames.encode(Frame(Kind.PING)))
    with pytest.raises(errors.Invalid, match="not offered"):
        greeting.read_answer(greeting.welcome(99))
