from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.agent.agent_parts import STARTED, container

from pierhead.agent import kills, signals
from pierhead.agent.drains import Drain, Drains

LATER = STARTED + timedelta(seconds=30)
BEFORE = STARTED - timedelta(seconds=30)


def test_the_harmless_signal_asks_for_a_drain() -> None:
    assert kills.drain(container(), {18: LATER}, real="SIGTERM") == Drain(LATER)


@pytest.mark.parametrize("signal", [15, 9])
def test_the_real_signal_leaves_nothing_to_wait_for(signal: int) -> None:
    assert kills.drain(container(), {18: STARTED, signal: LATER}, real="SIGTERM") == Drain(LATER, is_signalled=True)


@pytest.mark.parametrize("heard", [{}, {1: LATER}, {15: LATER}, {18: BEFORE}])
def test_anything_else_is_no_end(heard: kills.Kills) -> None:
    assert kills.drain(container(), heard, real="SIGQUIT") is None


def test_a_foreign_container_leaves_on_its_own_stop_signal() -> None:
    there = container()
    assert kills.leaves_until(there, {15: LATER}) == LATER + there.stop_timeout + kills.PATIENCE
    assert kills.leaves_until(there, {1: LATER}) is None
    assert kills.leaves_until(there, {15: BEFORE}) is None
    assert kills.leaves_until(replace(there, stop_signal="SIGQUIT"), {15: LATER}) is None
    assert kills.leaves_until(replace(there, stop_signal="3"), {3: LATER})


@pytest.mark.parametrize(
    ("text", "number"), [("SIGQUIT", 3), ("quit", 3), ("3", 3), ("", 15), ("SIGNOTHING", 15), ("SIGCONT", 18)]
)
def test_signals_are_read_as_people_write_them(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize(
    ("label", "image", "real"),
    [
        ("", "", "SIGTERM"),
        ("", "SIGQUIT", "SIGQUIT"),
        ("SIGINT", "SIGQUIT", "SIGINT"),
        ("SIGCONT", "SIGQUIT", "SIGQUIT"),
        ("18", "", "SIGTERM"),
    ],
)
def test_the_harmless_signal_is_never_the_real_one(label: str, image: str, real: str) -> None:
    assert signals.real(label, image) == real


def test_drains_outlive_the_agent(tmp_path: Path) -> None:
    drains = Drains(tmp_path)
    drains.begin("a", Drain(LATER))
    drains.begin("b", Drain(LATER))
    drains.signalled("b")
    (tmp_path / "drains" / "c.json").write_text("{")
    after = Drains(tmp_path)
    assert after.ids() == {"a", "b"}
    assert after.get("a", STARTED) == Drain(LATER)
    assert after.get("b", STARTED) == Drain(LATER, is_signalled=True)
    after.end("b")
    assert after.get("a", LATER + timedelta(seconds=1)) is None
    assert Drains(tmp_path).ids() == frozenset()
