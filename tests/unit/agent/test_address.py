from __future__ import annotations

import pytest
from tests.unit.agent.agent_parts import container

from pierhead.agent import address
from pierhead.agent.address import Place


@pytest.mark.parametrize(
    ("bindings", "place"),
    [
        ([("0.0.0.0", 8000)], Place("10.0.0.5", 8000)),
        ([("", 8000)], Place("10.0.0.5", 8000)),
        ([("127.0.0.1", 8000)], Place("127.0.0.1", 8000)),
        ([("192.0.2.7", 8000)], Place("192.0.2.7", 8000)),
        ([("::1", 8000), ("127.0.0.1", 8001)], Place("127.0.0.1", 8001)),
        ([("0.0.0.0", 8005), ("0.0.0.0", 8004)], Place("10.0.0.5", 8004)),
        ([("127.0.0.1", 1), ("192.0.2.7", 2), ("0.0.0.0", 3)], Place("10.0.0.5", 3)),
        ([("127.0.0.1", 1), ("192.0.2.7", 2)], Place("192.0.2.7", 2)),
        ([("::", 7000), ("0.0.0.0", 8000)], Place("10.0.0.5", 8000)),
    ],
)
def test_the_binding_is_chosen_by_rule(bindings: list[tuple[str, int]], place: Place) -> None:
    for order in (bindings, bindings[::-1]):
        assert address.of(container({"80/tcp": order}), "80/tcp", "10.0.0.5") == place


def test_a_node_with_an_ipv6_address_takes_the_binding_of_that_family() -> None:
    there = container({"80/tcp": [("0.0.0.0", 8000), ("::", 7000)]})
    assert address.of(there, "80/tcp", "2001:db8::5") == Place("2001:db8::5", 7000)


def test_what_is_not_published_is_nowhere() -> None:
    assert address.of(container({"80/tcp": []}), "80/tcp", "10.0.0.5") is None
    assert address.of(container(), "80/tcp", "10.0.0.5") is None


@pytest.mark.parametrize(
    ("binding", "advertise", "ipv6", "place"),
    [
        ("::", "10.0.0.5", "2001:db8::5", Place("2001:db8::5", 7000)),
        ("::", "10.0.0.5", "", None),
        ("0.0.0.0", "2001:db8::5", "", None),
        ("", "2001:db8::5", "", Place("2001:db8::5", 7000)),
        ("2001:db8::7", "10.0.0.5", "", Place("2001:db8::7", 7000)),
    ],
)
def test_an_address_of_the_other_family_is_never_registered(
    binding: str, advertise: str, ipv6: str, place: Place | None
) -> None:
    assert address.of(container({"80/tcp": [(binding, 7000)]}), "80/tcp", advertise, ipv6) == place
