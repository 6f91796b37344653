"""What ends, in which order, and how long an app may take."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pierhead.boot import remains, teardown
from pierhead.kit.process import Process
from pierhead.model.instance import Label


def running(*names: str) -> list[Process]:
    return [Process(name, 1, "", (), Path("/run")) for name in names]


def names(processes: list[Process]) -> list[str]:
    return [one.name for one in processes]


def test_the_engine_ends_last() -> None:
    assert names(teardown.ordered(running("engine", "haproxy", "registry"), keep_apps=False)) == [
        "haproxy",
        "registry",
        "engine",
    ]


def test_what_carries_requests_can_stay() -> None:
    assert names(teardown.ordered(running("engine", "haproxy", "registry"), keep_apps=True)) == ["registry"]


def container(label: str | None) -> dict[str, Any]:
    return {"Id": "1", "Labels": {} if label is None else {Label.STOP: label}}


def test_the_slowest_app_decides_how_long_is_waited() -> None:
    quick = container('{"signal": "SIGTERM", "drain_seconds": 1, "stop_seconds": 1}')
    slow = container('{"signal": "SIGINT", "drain_seconds": 60, "stop_seconds": 10}')
    assert remains.patience([quick, slow]) - remains.patience([quick]) == timedelta(seconds=68)
    assert remains.patience([]) > timedelta()
    assert remains.stopping(slow)["signal"] == "SIGINT"


@pytest.mark.parametrize("label", [None, "", "{", "[]", "7", "null"])
def test_a_damaged_label_means_the_usual(label: str | None) -> None:
    assert remains.stopping(container(label)) == {"signal": "SIGTERM", "drain_seconds": 30, "stop_seconds": 10}
