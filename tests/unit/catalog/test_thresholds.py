from __future__ import annotations

from pierhead.catalog.thresholds import Threshold


def test_without_limits_every_result_holds() -> None:
    threshold = Threshold()
    assert [threshold.holds(status) for status in ("passing", "critical", "warning")] == [True, True, True]


def test_a_status_holds_once_it_was_seen_often_enough_in_a_row() -> None:
    threshold = Threshold(rise=2, fall=3)
    seen = ["critical", "critical", "passing", "passing", "critical", "critical", "critical"]
    assert [threshold.holds(status) for status in seen] == [False, False, False, True, False, False, True]
