from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pierhead.gateway import render
from pierhead.gateway.frame import CONFIG, HOSTS, SITES, WILDCARDS, Frame
from pierhead.gateway.layout import Layout, Mode, Pool, Server, Structure
from pierhead.model.app import Protocol

FRAME = Frame("127.0.0.1", 8080, Path("/d/haproxy"), Path("/d/run"), 1000, 900)
SERVERS = (
    Server("s1", ("10.0.0.1", 80), Mode.READY, 100),
    Server("s2", ("::1", 81), Mode.DRAIN, 100),
    Server("s3", ("10.0.0.1", 82), Mode.MAINT),
    Server("s4"),
)


def pool(name: str, protocol: Protocol, servers: tuple[Server, ...] = SERVERS) -> Pool:
    return Pool(f"{protocol}:{name}", name, protocol, servers)


def draw(*pools: Pool, sites: dict[str, str] | None = None, ports: dict[int, str] | None = None) -> Layout:
    return Layout({found.name: found for found in pools}, Structure(sites or {}, ports or {}))


def test_a_worker_starts_with_every_server_as_it_is_to_be() -> None:
    text = render.files(FRAME, draw(pool("notes", Protocol.HTTP)))[CONFIG]
    assert text.endswith(
        "backend http:notes from http\n"
        "  balance roundrobin\n"
        "  server s1 10.0.0.1:80 weight 100\n"
        "  server s2 [::1]:81 weight 0\n"
        "  server s3 10.0.0.1:82 disabled\n"
        "  server s4 127.0.0.1:9 disabled\n"
    )


def test_a_service_port_has_a_listener_of_its_own() -> None:
    text = render.files(FRAME, draw(pool("queue", Protocol.TCP), ports={9000: "tcp:queue"}))[CONFIG]
    assert "frontend port:9000 from tcp\n  bind 127.0.0.1:9000\n  default_backend tcp:queue\n" in text


def test_grpc_is_spoken_to_servers_as_http_2() -> None:
    text = render.files(FRAME, draw(pool("echo", Protocol.GRPC)))[CONFIG]
    assert "server s1 10.0.0.1:80 weight 100 proto h2" in text


def test_the_number_of_services_adds_no_rule() -> None:
    one = draw(pool("a", Protocol.HTTP), sites={"a.test/": "http:a"})
    two = draw(pool("a", Protocol.HTTP), pool("b", Protocol.HTTP), sites={"a.test/": "http:a", "b.test/": "http:b"})
    rules = [render.files(FRAME, found)[CONFIG].count("use_backend") for found in (one, two)]
    assert rules == [3, 3]


def test_longer_wildcards_come_first() -> None:
    sites = {"*.b.test/": "p", "*.a.b.test/": "q", "x.test/api/": "r", "x.test/": "s", "*/": "t", "y.test/": "http:u"}
    found = {name: render.text_of(entries) for name, entries in render.maps(draw(sites=sites), {"s": "spare"}).items()}
    assert {name: text for name, text in found.items() if text} == {
        HOSTS: "x.test x.test\ny.test http:u\n",
        WILDCARDS: ".a.b.test *.a.b.test\n.b.test *.b.test\n",
        SITES: "*.a.b.test/ q\n*.b.test/ p\n*/ t\nx.test/ spare\nx.test/api/ r\ny.test/ http:u\n",
    }


def test_a_host_without_a_backend_stays_known_so_that_no_wildcard_takes_it() -> None:
    found = render.maps(draw(sites={"a.test/": "http:a", "b.test/": "http:b", "*.test/": "http:c"}), {})
    led = render.with_backends(found, {"http:b", "http:c"})
    assert led[HOSTS] == {"a.test": "a.test", "b.test": "http:b"}
    assert led[SITES] == {"b.test/": "http:b", "*.test/": "http:c"}


def test_what_only_a_reload_changes_does_not_follow_from_the_pools_or_the_names() -> None:
    base = draw(pool("notes", Protocol.HTTP))
    others = draw(pool("notes", Protocol.HTTP, (Server("s1"),)), pool("b", Protocol.HTTP), sites={"b.test/": "http:b"})
    listening = draw(pool("notes", Protocol.HTTP), ports={9000: "http:notes"})
    assert render.head(FRAME, base) == render.head(FRAME, others)
    assert render.head(FRAME, base) != render.head(FRAME, listening)
    assert render.head(FRAME, base) != render.head(replace(FRAME, http_port=80), base)


def test_a_worker_shows_the_mark_of_its_file_which_has_spare_backends() -> None:
    texts = render.files(FRAME, draw(), ("spare:1", "spare:2"))
    assert f"description {render.mark(texts)}\n" in texts[CONFIG]
    assert texts[CONFIG].count("\nbackend spare:") == 2
    assert render.mark(render.files(FRAME, draw(), ("spare:3",))) != render.mark(texts)
