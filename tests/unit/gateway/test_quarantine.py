"""Whoever HAProxy refuses is found, however many there are, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway import quarantine
from pierhead.gateway.material import Material
from pierhead.gateway.quarantine import Unit
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.route import Route

UNITS = [Unit("route", f"r{n}") for n in range(40)]


@given(st.sets(st.sampled_from(UNITS), max_size=6))
def test_exactly_the_guilty_are_found(bad: set[Unit]) -> None:
    asked = 0

    async def refusal(some: Sequence[Unit]) -> str:
        nonlocal asked
        asked += 1
        return f"{min(unit.name for unit in bad & set(some))} is bad" if bad & set(some) else ""

    found = asyncio.run(quarantine.guilty(UNITS, refusal))
    assert found == {unit: f"{unit.name} is bad" for unit in bad}
    assert asked <= 1 + 12 * len(bad)


def test_a_snapshot_without_some_says_why() -> None:
    material = Material(has_tls=True, certificates={"a": "A", "b": "B"}, problems={"page 404.html": "too large"})
    whole = Snapshot({"x": Route("x", "x"), "y": Route("y", "y")}, {"z": "no JSON"}, material=material)
    found = quarantine.without(whole, {Unit("route", "x"): "bad", Unit("certificate", "b"): "weak"})
    assert (list(found.routes), found.refused) == (["y"], {"z": "no JSON", "x": "bad"})
    assert found.material.certificates == {"a": "A"}
    assert found.material.problems == {"page 404.html": "too large", "certificate b": "weak"}
    assert quarantine.without(whole, {}) == whole


def test_of_what_haproxy_says_the_complaint_is_kept() -> None:
    said = (
        "HAProxy refuses /d/haproxy.cfg.new: [NOTICE]   (1) : haproxy version is 2.6.12\n"
        "[ALERT]    (1) : config : parsing [/d/haproxy.cfg.new:81] : timer overflow in argument '9' to 'server'.\n"
        "[ALERT]    (1) : config : Fatal errors found in configuration."
    )
    assert quarantine.words(said) == "timer overflow in argument '9' to 'server'."
    assert quarantine.words("unheard of") == "unheard of"
