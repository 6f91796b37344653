"""Questions in, answers out: from the records, from the answers given before, or from the server upstream."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence

from pierhead.kit import errors
from pierhead.resolver.plan import Records
from pierhead.resolver.resource import Answer, Resource
from pierhead.wire.dns import forward, message
from pierhead.wire.dns.forward import Upstream
from pierhead.wire.dns.message import Query, Record, Reply
from pierhead.wire.dns.server import Later

log = logging.getLogger(__name__)

_KEPT = 20_000
"""Encoded answers in memory at most."""
_ORDERS = 4
"""Orders of an answer with several records that are kept."""


class Answering:
    """Answers for `records`, which `use` replaces; everything else is forwarded for clients on private addresses."""

    def __init__(self, records: Records, upstreams: Sequence[Upstream] = ()) -> None:
        self.records = records
        self._upstreams = tuple(upstreams)
        self._kept: dict[tuple[bytes, int, bool, int], bytes] = {}
        self._asked = 0

    def use(self, records: Records) -> None:
        """The next answer is from `records`."""
        self.records = records
        self._kept.clear()

    def handle(self, data: bytes, client: str, tcp: bool) -> bytes | Later | None:
        """What `wire.dns.server` calls for every message."""
        self._asked += 1
        key = message.key(data, tcp=tcp)
        whole = (*key, tcp, self._asked % _ORDERS) if key else None
        if whole and (kept := self._kept.get(whole)):
            return data[:2] + kept[2:]
        query = message.decode(data)
        if query is None:
            return message.refusal(data, "FORMERR")
        reply = self._reply(query)
        if reply is None:
            return self._elsewhere(query, data, client, tcp)
        encoded = message.encode(query, reply, tcp=tcp, recursion=bool(self._upstreams))
        if whole:
            self._keep(whole, encoded)
        return encoded

    def _reply(self, query: Query) -> Reply | None:
        """What the records say; None when the name is not theirs."""
        if not query.is_query:
            return Reply("NOTIMP", authoritative=False)
        if not query.is_internet or query.kind in ("AXFR", "IXFR"):
            return Reply("REFUSED", authoritative=False)
        answer = self.records.find(query.name, query.kind)
        return reply(answer.rotated(self._asked)) if answer else None

    def _elsewhere(self, query: Query, data: bytes, client: str, tcp: bool) -> bytes | Later:
        if not self._upstreams or not is_near(client):
            return message.encode(query, Reply("REFUSED", authoritative=False), tcp=tcp, recursion=False)
        return self._forwarded(query, data, tcp)

    async def _forwarded(self, query: Query, data: bytes, tcp: bool) -> bytes:
        for upstream in self._upstreams:
            try:
                return await forward.ask(upstream, data, tcp=tcp)
            except errors.Unavailable as error:
                log.debug("A forwarded question was not answered.", extra={"reason": error.message})
        return message.encode(query, Reply("SERVFAIL", authoritative=False), tcp=tcp, recursion=True)

    def _keep(self, key: tuple[bytes, int, bool, int], encoded: bytes) -> None:
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[key] = encoded


def reply(answer: Answer) -> Reply:
    """The answer in the words of the protocol."""
    return Reply(
        answer.code,
        [_record(found) for found in answer.answers],
        [_record(found) for found in answer.authority],
        [_record(found) for found in answer.additional],
        authoritative=answer.code != "SERVFAIL",
    )


def is_near(client: str) -> bool:
    """A client on this machine or on a private address: nobody else is served names that are not ours."""
    found = ipaddress.ip_address(client.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    near = mapped or found
    return near.is_loopback or near.is_private or near.is_link_local


def _record(found: Resource) -> Record:
    return Record(found.name, found.kind, found.ttl, found.data)
