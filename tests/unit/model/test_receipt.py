"""Receipts: nothing is counted twice, whoever counts, and what a gate says of them."""

from __future__ import annotations

from pierhead.model.app import Gate
from pierhead.model.receipt import Count, Receipt, add, undecided, verdict


def counted(receipt: Receipt) -> dict[str, int]:
    return {name: one.requests for name, one in receipt.releases.items()}


def test_counting_begins_with_the_first_answer() -> None:
    receipt = add(Receipt(), "gw/notes", {"v1": Count(1000)})
    receipt = add(receipt, "gw/notes", {"v1": Count(1010), "v2": Count(4)})
    receipt = add(receipt, "gw/notes", {"v0": Count(), "v1": Count(1010), "v2": Count(9)})
    assert counted(receipt) == {"v1": 10, "v2": 9}


def test_a_controller_that_begins_anew_takes_nothing_away() -> None:
    receipt = add(Receipt(), "gw/notes", {"v1": Count(1000)})
    receipt = add(receipt, "gw/notes", {"v1": Count(1010)})
    receipt = add(receipt, "gw/notes", {"v1": Count(5)})
    assert counted(receipt) == {"v1": 15}


def test_gateways_are_added_up_and_the_time_is_that_of_all() -> None:
    receipt = Receipt()
    for gateway in ("a", "b"):
        receipt = add(receipt, gateway, {})
    receipt = add(receipt, "a", {"v1": Count(30, response_ms=10.0)})
    receipt = add(receipt, "b", {"v1": Count(10, errors=1, failures=1, response_ms=50.0)})
    assert receipt.releases["v1"] == Count(40, errors=1, failures=1, response_ms=20.0)
    assert receipt.releases["v1"].error_rate == 0.05


def test_a_gate_decides_once_it_has_seen_enough() -> None:
    gate = Gate(0.02, 40)
    few, good = Receipt(releases={"v2": Count(39, errors=9)}), Receipt(releases={"v2": Count(400, errors=8)})
    assert (verdict(few, "v2", gate), undecided(few, "v2", gate)) == (
        "",
        "39 of 40 requests that the gate wants to see",
    )
    assert (verdict(good, "v2", gate), undecided(good, "v2", gate)) == ("", "")
    assert verdict(Receipt(releases={"v2": Count(400, failures=9)}), "v2", gate) == (
        "2.2 % of 400 requests failed, 2 % may"
    )
    assert verdict(few, "v2", None) == ""
