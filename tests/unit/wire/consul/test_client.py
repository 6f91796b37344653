from __future__ import annotations

from datetime import timedelta

import pytest

from pierhead.wire.consul import client


@pytest.mark.parametrize(("asked", "answered", "following"), [(5, 7, 7), (5, 5, 5), (5, 3, 0), (0, 1, 1)])
def test_an_index_that_went_back_starts_over(asked: int, answered: int, following: int) -> None:
    assert client.following(asked, answered) == following


def test_durations_are_milliseconds() -> None:
    assert client.duration(timedelta(seconds=1.5)) == "1500ms"


def test_a_service_id_is_one_segment() -> None:
    assert client.segment("node:web/1:80 ä") == "node%3Aweb%2F1%3A80%20%C3%A4"
