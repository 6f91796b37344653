import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.wire.dns import message
from pierhead.wire.dns.message import Record, Reply


def query(name: str = "a.example", kind: str = "A", **more: object) -> bytes:
    return dns.message.make_query(name, kind, **more).to_wire()  # type: ignore[arg-type]


def answered(data: bytes, reply: Reply, *, tcp: bool = False) -> dns.message.Message:
    decoded = message.decode(data)
    assert decoded is not None
    return dns.message.from_wire(message.encode(decoded, reply, tcp=tcp, recursion=True))


def test_questions_that_differ_only_in_id_or_cookie_share_their_answer() -> None:
    cookies = [
        query(use_edns=0, payload=1232, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes([n]) * 8)])
        for n in (1, 2)
    ]
    assert message.key(cookies[0], tcp=False) == message.key(cookies[1], tcp=False)
    assert message.key(query(), tcp=False) == message.key(query(), tcp=False)


@pytest.mark.parametrize(
    "other",
    [
        query("b.example"),
        query("A.example"),
        query(kind="AAAA"),
        query(rdclass="CH"),
        query(flags=0),
        query(use_edns=0),
        query(want_dnssec=True),
    ],
    ids=["name", "case", "type", "class", "flags", "edns", "dnssec"],
)
def test_questions_that_differ_have_answers_of_their_own(other: bytes) -> None:
    assert message.key(query(), tcp=False) != message.key(other, tcp=False)
    assert message.key(query(), tcp=False) != message.key(query(), tcp=True)


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data: bytes) -> None:
    message.key(data, tcp=False)
    message.decode(data)
    message.refusal(data, "FORMERR")
    message.answers(data, data)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_damage_to_a_question_is_survived(noise: bytes, at: int) -> None:
    data = query(use_edns=0)
    damaged = data[:at] + noise + data[at + len(noise) :]
    message.key(damaged, tcp=False)
    if decoded := message.decode(damaged):
        message.encode(decoded, Reply("NXDOMAIN"), tcp=False, recursion=False)


def test_a_refusal_carries_id_and_code() -> None:
    refusal = message.refusal(b"\x12\x34\x01\x00" + bytes(8) + b"\xff", "FORMERR")
    assert refusal is not None
    found = dns.message.from_wire(refusal)
    assert (found.id, found.rcode(), bool(found.flags & dns.flags.QR)) == (0x1234, dns.rcode.FORMERR, True)
    assert message.refusal(b"\x12\x34\x81\x00" + bytes(8), "FORMERR") is None, "an answer is never answered"


def test_an_answer_that_does_not_fit_is_cut() -> None:
    reply = Reply(answers=[Record("a.example", "A", 1, f"10.0.0.{n}") for n in range(1, 200)])
    assert answered(query(), reply).flags & dns.flags.TC
    assert len(answered(query(), reply, tcp=True).answer[0]) == 199


def test_a_record_that_dns_cannot_hold_is_left_out() -> None:
    long = "x" * 64
    reply = Reply(
        answers=[Record("a.example", "SRV", 1, f"1 1 80 {long}.example."), Record("a.example", "SRV", 1, "1 1 1 b.")]
    )
    assert [item.to_text() for item in answered(query(kind="SRV"), reply).answer[0]] == ["1 1 1 b."]


def test_an_answer_belongs_to_its_question_alone() -> None:
    asked = query()
    response = dns.message.make_response(dns.message.from_wire(asked)).to_wire()
    assert message.answers(response, asked)
    assert not message.answers(response[:1] + b"\x00" + response[2:], query("b.example"))
    assert not message.answers(asked, asked)
