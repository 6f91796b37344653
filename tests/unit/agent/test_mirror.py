from __future__ import annotations

from pierhead.agent.endpoint import PASSING, Held
from pierhead.agent.mirror import Mirror
from pierhead.model.instance import Meta


def held(service_id: str, instance: str = "c1", port: int = 1) -> Held:
    return Held(service_id, "web", "10.0.0.5", port, (), {Meta.INSTANCE: instance}, PASSING, "", None)


def test_it_tells_which_instances_the_catalog_holds_otherwise() -> None:
    mirror = Mirror()
    assert mirror.read({"a": held("a", "c1"), "b": held("b", "c2")}, mirror.version) == {"c1", "c2"}
    assert mirror.read({"a": held("a", "c1"), "b": held("b", "c2")}, mirror.version) == set()
    assert mirror.read({"a": held("a", "c1", port=2)}, mirror.version) == {"c1", "c2"}
    assert mirror.instances() == {"c1"}


def test_nothing_is_known_before_it_was_read() -> None:
    read = Mirror()
    read.read({}, 0)
    assert [mirror.is_known for mirror in (Mirror(), read)] == [False, True]


def test_what_was_written_while_it_was_read_wins() -> None:
    mirror = Mirror()
    mirror.read({"a": held("a"), "b": held("b")}, mirror.version)
    version = mirror.version
    mirror.drop("a")
    mirror.put(held("c"))
    assert mirror.read({"a": held("a"), "b": held("b")}, version) == set()
    assert [mirror.get(key) for key in "abc"] == [None, held("b"), held("c")]
    assert mirror.read({"b": held("b")}, mirror.version) == {"c1"}
    assert mirror.get("c") is None


def test_what_was_read_before_and_written_over_since_is_told_again() -> None:
    mirror, found = Mirror(), {"a": held("a")}
    assert mirror.read(found, mirror.version) == {"c1"}
    assert mirror.read(found, mirror.version) == set()
    mirror.put(held("a", port=2))
    assert mirror.read(found, mirror.version) == {"c1"}
    assert mirror.get("a") == held("a")
