"""The resolver on a real socket, asked by a real client, with its names from a real catalog."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from pierhead.catalog import server as catalog_server
from pierhead.kit import errors
from pierhead.model import route as routes
from pierhead.model.instance import GATEWAY_SERVICE, Meta
from pierhead.model.route import Route
from pierhead.resolver import loop
from pierhead.resolver.loop import Options, Serving
from pierhead.resolver.plan import Naming
from pierhead.testing import consul as real
from pierhead.wire.consul import agent, catalog, kv
from pierhead.wire.consul.agent import Check, Registration
from pierhead.wire.consul.client import Consul
from pierhead.wire.dns import message, server
from pierhead.wire.dns.forward import Upstream
from pierhead.wire.dns.message import Record, Reply

SOON = 5.0
NOWHERE = "http://127.0.0.1:9"


@dataclass
class Asker:
    """A client that asks one server and notes nothing down."""

    port: int
    serving: Serving | None = None

    async def message(self, query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await ask(query, "127.0.0.1", port=self.port, timeout=SOON)

    async def __call__(self, name: str, kind: str = "A", *, tcp: bool = False) -> list[str]:
        """What the answer holds, sorted; its code when it holds nothing."""
        answer = await self.message(dns.message.make_query(name, kind), tcp=tcp)
        return data(answer) or [dns.rcode.to_text(answer.rcode())]


def data(answer: dns.message.Message) -> list[str]:
    return sorted(item.to_text() for rrset in answer.answer for item in rrset)


async def until(wanted: Callable[[], Awaitable[object]], expected: object) -> None:
    """Raises: AssertionError with the last value, when it is not the expected one soon."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SOON
    value = await wanted()
    while value != expected and loop.time() < deadline:
        await asyncio.sleep(0.01)
        value = await wanted()
    assert value == expected


@dataclass
class Estate:
    """A catalog with somebody who writes to it."""

    consul: Consul
    count: int = 0

    async def route(self, name: str, *hosts: str) -> None:
        route = Route(name, name, hosts=hosts)
        await kv.put(self.consul, route.key, json.dumps(routes.document(route)).encode())

    async def instance(self, service: str, address: str, port: int, *tags: str, status: str = "passing") -> str:
        id_ = f"{service}-{self.count}"
        self.count += 1
        check = Check(ttl=loop._LOOK_AGAIN, status=status)
        await agent.register(self.consul, Registration(service, id_, address, port, tags, checks=(check,)))
        return id_


both = pytest.mark.parametrize("estate", ["embedded", "real"], indirect=True)
"""On Pierhead's own catalog and on a real Consul; tests without it need no more than the first."""


@pytest.fixture
async def estate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Estate]:
    if getattr(request, "param", "embedded") == "real":
        if os.environ.get("PIER_NO_REAL_CONSUL") == "1":
            pytest.skip("PIER_NO_REAL_CONSUL=1 leaves the real Consul out")
        async with real.serving(tmp_path) as running, Consul(running.url) as consul:
            yield Estate(consul)
        return
    options = catalog_server.Options(port=0, data=tmp_path / "catalog", node_name="here", advertise="127.0.0.7")
    async with catalog_server.serving(options) as address, Consul(address.url) as consul:
        yield Estate(consul)


@contextlib.asynccontextmanager
async def resolver(options: Options) -> AsyncIterator[Asker]:
    async with loop.serving(replace(options, port=0)) as serving:
        yield Asker(serving.address.port, serving)


@pytest.fixture
async def ask(estate: Estate) -> AsyncIterator[Asker]:
    naming = Naming("corp.example", fallback="127.0.0.1", own_address="127.0.0.1")
    async with resolver(Options(estate.consul.url, naming=naming)) as asker:
        yield asker


@both
async def test_a_route_is_a_name_as_soon_as_it_is_in_the_catalog(estate: Estate, ask: Asker) -> None:
    await estate.route("notes-dev", "notes.dev.corp.example", "*.notes.example")
    await until(lambda: ask("notes.dev.corp.example"), ["127.0.0.1"])
    assert await ask("any.thing.notes.example") == ["127.0.0.1"]
    assert await ask("other.dev.corp.example") == ["NXDOMAIN"]
    await kv.delete(estate.consul, "pier/routes/notes-dev")
    await until(lambda: ask("notes.dev.corp.example"), ["NXDOMAIN"])


@both
async def test_names_follow_the_gateways(estate: Estate, ask: Asker) -> None:
    await estate.route("notes-dev", "notes.dev.corp.example")
    first = await estate.instance(GATEWAY_SERVICE, "10.0.0.1", 4402)
    await estate.instance(GATEWAY_SERVICE, "10.0.0.2", 4402)
    await until(lambda: ask("notes.dev.corp.example"), ["10.0.0.1", "10.0.0.2"])
    await agent.update_check(estate.consul, f"service:{first}", "critical")
    await until(lambda: ask("notes.dev.corp.example"), ["10.0.0.2"])


@both
async def test_an_app_without_a_route_has_its_name(estate: Estate, ask: Asker) -> None:
    meta = {Meta.APP: "db", Meta.ENVIRONMENT: "dev"}
    await agent.register(estate.consul, Registration("db-dev", address="10.0.0.3", port=5432, meta=meta))
    await until(lambda: ask("db.dev.corp.example"), ["127.0.0.1"])


@both
async def test_services_are_found_by_the_names_that_consul_gives_them(estate: Estate, ask: Asker) -> None:
    await estate.instance("web", "10.0.0.1", 32768, "blue")
    second = await estate.instance("web", "10.0.0.2", 32769, "green")
    await estate.instance("web", "10.0.0.3", 32770, status="critical")
    await until(lambda: ask("web.service.consul"), ["10.0.0.1", "10.0.0.2"])
    assert await ask("green.web.service.dc1.consul") == ["10.0.0.2"]
    assert await ask("_web._tcp.service.consul", "SRV") == [
        "1 1 32768 0a000001.addr.dc1.consul.",
        "1 1 32769 0a000002.addr.dc1.consul.",
    ]
    assert await ask("0a000002.addr.dc1.consul") == ["10.0.0.2"]
    [node] = (await catalog.nodes(estate.consul))[0]
    assert await ask(f"{node.name}.node.consul") == [node.address]
    await agent.maintenance(estate.consul, second, enable=True)
    await until(lambda: ask("web.service.consul"), ["10.0.0.1"])
    await agent.deregister(estate.consul, "web-0")
    await until(lambda: ask("web.service.consul"), ["NXDOMAIN"])


@both
async def test_a_service_that_moves_is_found_at_its_new_address(estate: Estate, ask: Asker) -> None:
    await agent.register(estate.consul, Registration("vm", address="10.0.0.1", port=80))
    await until(lambda: ask("vm.service.consul"), ["10.0.0.1"])
    await agent.register(estate.consul, Registration("vm", address="10.0.0.2", port=80))
    await until(lambda: ask("vm.service.consul"), ["10.0.0.2"])


async def test_a_route_that_is_not_valid_is_left_out_and_the_others_live(estate: Estate, ask: Asker) -> None:
    await kv.put(estate.consul, "pier/routes/bad", b"{")
    await estate.route("good", "good.example")
    await until(lambda: ask("good.example"), ["127.0.0.1"])
    assert ask.serving is not None
    assert [text.partition(":")[0] for text in ask.serving.following.problems] == ["bad"]


async def test_names_stay_while_the_catalog_is_away_and_after_a_restart_without_it(tmp_path: Path) -> None:
    state = tmp_path / "view.json"
    naming = Naming("corp.example", fallback="127.0.0.1")
    running = catalog_server.serving(catalog_server.Options(port=0, data=tmp_path / "catalog"))
    address = await running.__aenter__()
    async with resolver(Options(address.url, naming=naming, state=state)) as ask:
        async with Consul(address.url) as consul:
            await Estate(consul).route("notes", "notes.dev.corp.example")
        await until(lambda: ask("notes.dev.corp.example"), ["127.0.0.1"])
        await until(lambda: asyncio.to_thread(lambda: state.exists() and "notes.dev" in state.read_text()), True)
        await running.__aexit__(None, None, None)
        assert ask.serving is not None
        await until(lambda: is_live(ask), False)
        assert await ask("notes.dev.corp.example") == ["127.0.0.1"]
    async with resolver(Options(NOWHERE, naming=naming, state=state)) as ask:
        assert await ask("notes.dev.corp.example") == ["127.0.0.1"]
        assert await ask("other.dev.corp.example") == ["NXDOMAIN"]


async def is_live(ask: Asker) -> bool:
    assert ask.serving is not None
    return ask.serving.following.is_live


async def test_a_resolver_that_never_knew_anything_does_not_deny_names() -> None:
    async with resolver(Options(NOWHERE, naming=Naming("corp.example"))) as ask:
        assert await ask("notes.dev.corp.example") == ["SERVFAIL"]
        assert await ask("www.example.org") == ["REFUSED"]


async def test_negative_answers_say_how_long_they_hold_and_who_says_so(estate: Estate, ask: Asker) -> None:
    await estate.route("notes", "notes.dev.corp.example")
    await until(lambda: ask("notes.dev.corp.example"), ["127.0.0.1"])
    for name, kind, code in (("no.corp.example", "A", "NXDOMAIN"), ("notes.dev.corp.example", "AAAA", "NOERROR")):
        answer = await ask.message(dns.message.make_query(name, kind))
        assert dns.rcode.to_text(answer.rcode()) == code
        assert answer.flags & dns.flags.AA
        [soa] = answer.authority
        assert (soa.name.to_text(), soa.ttl, soa[0].minimum) == ("corp.example.", 5, 5)


async def test_the_case_of_the_question_is_kept(estate: Estate, ask: Asker) -> None:
    await estate.route("notes", "notes.dev.corp.example")
    await until(lambda: ask("notes.dev.corp.example"), ["127.0.0.1"])
    for name in ("NoTeS.dEv.CoRp.example.", "nOtEs.DeV.cOrP.example."):
        answer = await ask.message(dns.message.make_query(name, "A"))
        assert answer.question[0].name.to_text() == name
        assert answer.answer[0].name.to_text() == name


async def test_a_large_answer_is_cut_over_udp_and_whole_over_tcp(estate: Estate, ask: Asker) -> None:
    for number in range(60):
        await estate.instance("many", f"10.1.0.{number + 1}", 80)
    await until(lambda: size(ask), 60)
    for payload in (None, 4096):
        query = dns.message.make_query("many.service.consul", "A", use_edns=payload and 0, payload=payload)
        answer = await ask.message(query)
        assert answer.flags & dns.flags.TC or len(data(answer)) == 60
    srv = await ask.message(dns.message.make_query("many.service.consul", "SRV"), tcp=True)
    assert len(data(srv)) == 60
    assert len(srv.additional) == 60


async def size(ask: Asker) -> int:
    return len(await ask("many.service.consul", tcp=True))


async def test_not_everybody_is_given_the_same_address_first(estate: Estate, ask: Asker) -> None:
    for number in range(3):
        await estate.instance("web", f"10.0.0.{number + 1}", 80)
    await until(lambda: ask("web.service.consul"), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    answers = [await ask.message(dns.message.make_query("web.service.consul", "A")) for _ in range(8)]
    assert {answer.answer[0][0].to_text() for answer in answers} == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}


async def test_a_cookie_in_the_question_is_answered(estate: Estate, ask: Asker) -> None:
    await estate.route("notes", "notes.dev.corp.example")
    await until(lambda: ask("notes.dev.corp.example"), ["127.0.0.1"])
    for number in range(3):
        option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes([number]) * 8)
        query = dns.message.make_query("notes.dev.corp.example", "A", use_edns=0, payload=1232, options=[option])
        assert data(await ask.message(query)) == ["127.0.0.1"]


async def test_what_is_not_a_question_for_us_is_refused_in_kind(ask: Asker) -> None:
    transfer = dns.message.make_query("corp.example", "AXFR")
    assert (await ask.message(transfer, tcp=True)).rcode() == dns.rcode.REFUSED
    chaos = dns.message.make_query("version.bind", "TXT", rdclass="CH")
    assert (await ask.message(chaos)).rcode() == dns.rcode.REFUSED
    notify = dns.message.make_query("corp.example", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert (await ask.message(notify)).rcode() == dns.rcode.NOTIMP


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"\x12\x34" + bytes(10), b"\x12\x34\x01\x00\x00\x01" + b"\xff" * 40])
async def test_garbage_is_survived(ask: Asker, garbage: bytes) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", ask.port)
    )
    transport.sendto(garbage)
    transport.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", ask.port)
    writer.write(len(garbage).to_bytes(2, "big") + garbage)
    writer.write_eof()
    await reader.read()
    writer.close()
    assert await ask("x.corp.example") in (["NXDOMAIN"], ["SERVFAIL"])


def elsewhere(data: bytes, client: str, tcp: bool) -> bytes | None:
    """A server of the company: knows www.example.org, and much about it over TCP; is silent for silent.example.org."""
    query = message.decode(data)
    if query is None or query.name == "silent.example.org":
        return None
    texts = [Record(query.name, "TXT", 60, f'"{number:0200}"') for number in range(30)]
    addresses = [Record(query.name, "A", 60, "192.0.2.1")]
    return message.encode(query, Reply(answers=texts if query.kind == "TXT" else addresses), tcp=tcp, recursion=True)


async def test_other_names_are_forwarded_over_udp_and_tcp(estate: Estate) -> None:
    async with server.serving("127.0.0.1", 0, elsewhere) as upstream:
        options = Options(estate.consul.url, upstreams=(Upstream("127.0.0.1", upstream.port),))
        async with resolver(options) as ask:
            assert await ask("www.example.org") == ["192.0.2.1"]
            short = await ask.message(dns.message.make_query("www.example.org", "TXT"))
            assert short.flags & dns.flags.TC
            assert len(await ask("www.example.org", "TXT", tcp=True)) == 30
            answers = [ask(f"{number}.example.org") for number in range(50)]
            assert [await answer for answer in answers] == [["192.0.2.1"]] * 50


async def test_the_next_server_is_asked_when_the_first_is_gone(estate: Estate) -> None:
    async with server.serving("127.0.0.1", 0, elsewhere) as upstream:
        upstreams = (Upstream("127.0.0.1", 9), Upstream("127.0.0.1", upstream.port))
        async with resolver(Options(estate.consul.url, upstreams=upstreams)) as ask:
            assert await ask("www.example.org") == ["192.0.2.1"]


async def test_a_forwarded_question_that_nobody_answers_fails(estate: Estate) -> None:
    async with resolver(Options(estate.consul.url, upstreams=(Upstream("127.0.0.1", 9),))) as ask:
        assert await ask("www.example.org") == ["SERVFAIL"]


async def test_a_port_that_is_taken_is_told(estate: Estate, ask: Asker) -> None:
    with pytest.raises(errors.Unavailable, match="cannot listen"):
        async with loop.serving(Options(estate.consul.url, port=ask.port)):
            pass
