from __future__ import annotations

from pierhead.gateway import observe
from pierhead.model.instance import State
from pierhead.wire.consul import records


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


def test_a_document_that_cannot_be_read_refuses_only_its_own_route() -> None:
    found, refused = observe.read_routes(
        {
            "pier/routes/": b"",
            "pier/routes/notes": b'{"service": "notes-dev", "hosts": ["n.test"]}',
            "pier/routes/half": b'{"service": ',
            "pier/routes/odd": b'{"service": "x", "colour": "red"}',
        }
    )
    assert list(found) == ["notes"]
    assert refused["odd"] == "unknown field 'colour'"
    assert "half" in refused


def test_only_services_whose_checks_changed_are_looked_at() -> None:
    before = observe.by_service([check("a", "passing"), check("b", "passing"), check("", "passing", id_="serfHealth")])
    after = observe.by_service(
        [check("a", "critical"), check("b", "passing", output="still well"), check("", "passing", id_="serfHealth")]
    )
    assert observe.changed(before, after) == {"a"}
    assert observe.changed(before, before) == set()


def test_a_check_that_was_written_anew_counts_as_changed() -> None:
    before = observe.by_service([check("a", "passing", index=1)])
    assert observe.changed(before, observe.by_service([check("a", "passing", index=5)])) == {"a"}


def test_the_check_of_a_node_concerns_every_service() -> None:
    before = observe.by_service([check("a", "passing"), check("", "passing", id_="serfHealth")])
    after = observe.by_service([check("a", "passing"), check("", "critical", id_="serfHealth")])
    assert observe.changed(before, after) >= {"a"}


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
