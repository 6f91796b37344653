"""DNS messages. Source: RFC 1035 §4, RFC 6891 (EDNS), RFC 2308 (negative answers)."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

log = logging.getLogger(__name__)

PAYLOAD = 1232
"""Bytes of UDP that pass every usual path unfragmented; larger answers are truncated and asked again over TCP."""

_PLAIN = 512
_HEADER = struct.Struct("!HHHHHH")
_OPT = 41


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    """Without the dot at the end."""
    kind: str
    """`A`, `AAAA`, `SRV`, `CNAME`, `SOA`, `NS`, `TXT`"""
    ttl: int
    data: str
    """As a zone file has it; names in it end with a dot."""


@dataclass(frozen=True, slots=True)
class Reply:
    code: str = "NOERROR"
    """`NOERROR`, `NXDOMAIN`, `REFUSED`, `SERVFAIL`, `NOTIMP`, `FORMERR`"""
    answers: Sequence[Record] = ()
    authority: Sequence[Record] = ()
    additional: Sequence[Record] = ()
    authoritative: bool = True


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked, and the message that asked it."""

    name: str
    """In lower case, without the dot at the end; empty for the root."""
    kind: str
    is_internet: bool
    """Of class IN or ANY."""
    is_query: bool
    """Not a notify, an update, …"""
    message: dns.message.Message


def key(data: bytes, *, tcp: bool) -> tuple[bytes, int] | None:
    """What two messages share that get the same answer except for its id: the question as written, the flags that are
    copied, and the room there is. None for a message that is not a plain question.

    EDNS options (cookies) are left out, so that a client that makes up a new one each time is answered from memory.
    """
    if len(data) < _HEADER.size + 5:
        return None
    _, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & 0xFECF or questions != 1 or answers or authorities or additional > 1:  # all but RD, AD and CD
        return None
    end = _question_end(data)
    if not end:
        return None
    room = (1 << 16) - 1 if tcp else _PLAIN
    if additional:
        if len(data) < end + 11 or data[end] != 0 or int.from_bytes(data[end + 1 : end + 3], "big") != _OPT:
            return None
        if data[end + 6] != 0:  # another version of EDNS
            return None
        room = room if tcp else min(PAYLOAD, max(_PLAIN, int.from_bytes(data[end + 3 : end + 5], "big")))
        return data[2:4] + data[_HEADER.size : end] + data[end + 7 : end + 9], room
    return data[2:4] + data[_HEADER.size : end], room


def decode(data: bytes) -> Query | None:
    """The question in `data`; None when it is none that could be answered (not even with an error)."""
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, struct.error):
        return None
    if message.flags & dns.flags.QR or len(message.question) != 1:
        return None
    question = message.question[0]
    return Query(
        name=question.name.to_text(omit_final_dot=True).lower() if question.name != dns.name.root else "",
        kind=dns.rdatatype.to_text(question.rdtype),
        is_internet=question.rdclass in (dns.rdataclass.IN, dns.rdataclass.ANY),
        is_query=message.opcode() == dns.opcode.QUERY,
        message=message,
    )


def encode(query: Query, reply: Reply, *, tcp: bool, recursion: bool) -> bytes:
    """The answer as it is sent; truncated to what the asker and the path can take, unless over TCP."""
    response = dns.message.make_response(query.message, recursion_available=recursion, our_payload=PAYLOAD)
    response.set_rcode(dns.rcode.from_text(reply.code))
    if reply.authoritative:
        response.flags |= dns.flags.AA
    for section, records in (
        (response.answer, reply.answers),
        (response.authority, reply.authority),
        (response.additional, reply.additional),
    ):
        section.extend(rrset for record in records if (rrset := _rrset(query, record)))
    room = (1 << 16) - 1 if tcp else min(PAYLOAD, max(_PLAIN, query.message.payload))
    return response.to_wire(max_size=room, prefer_truncation=True)


def refusal(data: bytes, code: str) -> bytes | None:
    """The answer `code` to a message that could not be decoded, as far as its header goes. None to no question."""
    if len(data) < _HEADER.size or data[2] & 0x80:
        return None
    flags = 0x8000 | (int.from_bytes(data[2:4], "big") & 0x7900) | dns.rcode.from_text(code)
    return data[:2] + flags.to_bytes(2, "big") + bytes(8)


def answers(response: bytes, query: bytes) -> bool:
    """`response` belongs to `query`: the same id and the same question."""
    end = _question_end(query)
    if len(response) < _HEADER.size or response[:2] != query[:2] or not response[2] & 0x80 or not end:
        return False
    return response[_HEADER.size : end].lower() == query[_HEADER.size : end].lower()


def _question_end(data: bytes) -> int:
    """The position behind the question; 0 when it is not whole or compressed."""
    position = _HEADER.size
    while position < len(data) and data[position]:
        if data[position] > 63:
            return 0
        position += data[position] + 1
    end = position + 5
    return end if end <= len(data) else 0


def _rrset(query: Query, record: Record) -> dns.rrset.RRset | None:
    """The record; one for the name that was asked for carries it as it was written. None when DNS cannot hold it."""
    asked = query.message.question[0].name
    try:
        name = asked if record.name == query.name else dns.name.from_text(record.name)
        return dns.rrset.from_text(name, record.ttl, "IN", record.kind, record.data)
    except (dns.exception.DNSException, ValueError) as error:
        log.warning("A record is no valid DNS and was left out.", extra={"record": str(record), "reason": str(error)})
        return None
