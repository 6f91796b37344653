from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pierhead.gateway import render
from pierhead.gateway.layout import Layout, Mode, Pool, Server, Structure
from pierhead.model.app import Protocol

FRAME = render.Frame("127.0.0.1", 8080, Path("/d/haproxy"), Path("/d/run"), 1000, 900)
SERVERS = (
    Server("s1", ("10.0.0.1", 80), Mode.READY, 100),
    Server("s2", ("::1", 81), Mode.DRAIN, 100),
    Server("s3", ("10.0.0.1", 82), Mode.MAINT),
    Server("s4"),
)


def pool(name: str, protocol: Protocol, servers: tuple[Server, ...] = SERVERS) -> Pool:
    return Pool(f"{protocol}:{name}", name, protocol, servers)


def draw(*pools: Pool, sites: dict[str, str] | None = None, ports: dict[int, str] | None = None) -> Layout:
    sizes = {found.name: len(found.servers) for found in pools}
    return Layout({found.name: found for found in pools}, Structure(sizes, sites or {}, ports or {}))


def test_a_worker_starts_with_every_server_as_it_is_to_be() -> None:
    text = render.files(FRAME, draw(pool("notes", Protocol.HTTP)))[render.CONFIG]
    assert text.endswith(
        "backend http:notes from http\n"
        "  balance roundrobin\n"
        "  server s1 10.0.0.1:80 weight 100\n"
        "  server s2 [::1]:81 weight 0\n"
        "  server s3 10.0.0.1:82 disabled\n"
        "  server s4 127.0.0.1:9 disabled\n"
    )


def test_a_service_port_has_a_listener_of_its_own() -> None:
    text = render.files(FRAME, draw(pool("queue", Protocol.TCP), ports={9000: "tcp:queue"}))[render.CONFIG]
    assert "frontend port:9000 from tcp\n  bind 127.0.0.1:9000\n  default_backend tcp:queue\n" in text


def test_grpc_is_spoken_to_servers_as_http_2() -> None:
    text = render.files(FRAME, draw(pool("echo", Protocol.GRPC)))[render.CONFIG]
    assert "server s1 10.0.0.1:80 weight 100 proto h2" in text


def test_the_number_of_services_adds_no_rule() -> None:
    one = draw(pool("a", Protocol.HTTP), sites={"a.test/": "http:a"})
    two = draw(pool("a", Protocol.HTTP), pool("b", Protocol.HTTP), sites={"a.test/": "http:a", "b.test/": "http:b"})
    rules = [render.files(FRAME, found)[render.CONFIG].count("use_backend") for found in (one, two)]
    assert rules == [1, 1]


def test_longer_wildcards_come_first() -> None:
    found = render.maps({"*.b.test/": "p", "*.a.b.test/": "q", "x.test/api/": "r", "x.test/": "s", "*/": "t"})
    assert found == {
        render.HOSTS: "x.test x.test\n",
        render.WILDCARDS: ".a.b.test *.a.b.test\n.b.test *.b.test\n",
        render.SITES: "*.a.b.test/ q\n*.b.test/ p\n*/ t\nx.test/ s\nx.test/api/ r\n",
    }


def test_the_fingerprint_is_of_the_structure_alone() -> None:
    base = draw(pool("notes", Protocol.HTTP))
    moved = draw(pool("notes", Protocol.HTTP, (Server("s1"), *SERVERS[1:])))
    grown = draw(pool("notes", Protocol.HTTP, (*SERVERS, Server("s5"))))
    assert render.fingerprint(FRAME, base) == render.fingerprint(FRAME, moved)
    assert render.fingerprint(FRAME, base) != render.fingerprint(FRAME, grown)
    assert render.fingerprint(FRAME, base) != render.fingerprint(replace(FRAME, http_port=80), base)
    assert f"description {render.fingerprint(FRAME, base)}\n" in render.files(FRAME, base)[render.CONFIG]
