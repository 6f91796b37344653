from __future__ import annotations

from pierhead.gateway import observe
from pierhead.model.instance import State
from pierhead.wire.consul import kv, records


def check(service: str, status: str, *, id_: str = "", index: int = 1, output: str = "") -> records.Check:
    return records.Check(
        id_ or f"service:{service}-1",
        "",
        status,
        "node",
        output,
        service_id=f"{service}-1" if service else "",
        service=service,
        modify_index=index,
    )


def pair(name: str, value: bytes, index: int = 1) -> kv.Pair:
    return kv.Pair(f"pier/routes/{name}", value, modify_index=index)


def test_a_document_that_cannot_be_read_refuses_only_its_own_route() -> None:
    found = observe.RouteReader().take(
        [
            pair("", b""),
            pair("notes", b'{"service": "notes-dev", "hosts": ["n.test"]}'),
            pair("half", b'{"service": '),
            pair("odd", b'{"service": "x", "colour": "red"}'),
        ],
        7,
    )
    assert list(found.routes) == ["notes"]
    assert found.refused["odd"] == "unknown field 'colour'"
    assert "half" in found.refused


def test_a_document_that_did_not_change_is_the_same_route() -> None:
    reader = observe.RouteReader()
    a, b = pair("a", b'{"service": "a"}'), pair("b", b'{"service": "b"}')
    before = reader.take([a, b], 1).routes
    after = reader.take([a, pair("b", b'{"service": "c"}', 2)], 2).routes
    assert after["a"] is before["a"]
    assert after["b"].service == "c"


def test_an_instance_without_an_address_of_its_own_is_at_its_node_s() -> None:
    entry = records.Entry(
        records.Node("n", "10.0.0.9"),
        records.Service("a-1", "a", "", 80, meta={"pier-release": "v2"}),
        (check("a", "critical", output="connection refused"),),
    )
    found = observe.read_entry(entry)
    assert (found.address, found.state, found.release, found.output) == (
        "10.0.0.9",
        State.UNHEALTHY,
        "v2",
        "connection refused",
    )
