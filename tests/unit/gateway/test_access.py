from __future__ import annotations

import json
from pathlib import Path

from pierhead.gateway import access, render
from pierhead.gateway.access import AccessLog
from pierhead.gateway.frame import CONFIG, Frame
from pierhead.gateway.layout import Layout, Mode, Pool, Server
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State

ENDPOINT = Endpoint("web-1", "web", "10.0.0.1", 80, State.HEALTHY, {"pier-release": "v3"})
POOL = Pool("http:web", "web", Protocol.HTTP, (Server("s1", ("10.0.0.1", 80), Mode.READY, 100, (ENDPOINT,)),))
LAYOUT = Layout({"http:web": POOL})
FRAME = Frame("127.0.0.1", 8080, Path("/d/haproxy"), Path("/d/run"), 1000, 900)


def told(backend: str, server: str) -> bytes:
    return json.dumps({"backend": backend, "server": server}).encode()


def found(*datagrams: bytes) -> list[list[str]]:
    texts = access.lines(datagrams, LAYOUT, {"http:web": "spare:1:2"})
    values = [json.loads(text) for text in texts]
    return [[value["service"], value["release"], value["instance"]] for value in values]


def test_a_line_says_whose_request_it_was_also_in_a_spare_backend() -> None:
    assert found(told("spare:1:2", "10.0.0.1:80")) == [["web", "v3", "web-1"]]
    assert found(told("http:web", "10.0.0.1:80")) == [["web", "v3", "web-1"]]
    assert found(told("http:web", "-:-")) == [["web", "", ""]]
    assert found(told("nobody", "-:-")) == [["", "", ""]]


def test_what_is_cut_off_is_left_out_alone() -> None:
    assert found(b'{"backend":"http:we', b"{}", told("nobody", "-:-")) == [["", "", ""]]


def test_a_line_can_be_written_whatever_bytes_a_client_sent() -> None:
    line = access.lines([told("nobody", "x")[:-1] + b',"path":"\xed\xa0\x80"}'], LAYOUT, {})[0]
    assert line.encode().endswith(b'"path": "\\ud800", "service": "", "release": "", "instance": ""}')


def test_what_the_queue_cannot_take_is_counted_and_what_is_no_request_is_not() -> None:
    log = AccessLog([])
    for _ in range(access.QUEUE + 3):
        log.take(b"{}")
    log.take(b"Server http:web/s1 is UP.")
    assert log.count.dropped == 3


def test_haproxy_logs_nothing_unless_it_is_to() -> None:
    assert "log" not in render.files(FRAME, LAYOUT)[CONFIG]
