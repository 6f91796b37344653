from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pierhead.wire.docker import containers
from pierhead.wire.docker.containers import Binding


def inspection(**state: Any) -> dict[str, Any]:
    return {
        "Id": "abc",
        "Name": "/web",
        "Image": "sha256:1",
        "Config": {"Image": "web:1", "Env": ["A=1"], "Labels": None, "ExposedPorts": {"80/tcp": {}}, "StopTimeout": 3},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None}},
        "State": {"Running": True, "Pid": 7, "StartedAt": "2026-11-23T07:00:00.5Z", **state},
    }


def test_an_inspection_is_read() -> None:
    found = containers.read(inspection())
    assert (found.name, found.image, found.labels, found.env) == ("web", "web:1", {}, ("A=1",))
    assert found.ports == {"80/tcp": (Binding("0.0.0.0", 8080),), "81/tcp": ()}
    assert found.started_at == datetime(2026, 11, 23, 7, 0, 0, 500000, UTC)
    assert (found.stop_timeout, found.stop_signal, found.health) == (timedelta(seconds=3), "", "")


@pytest.mark.parametrize(
    ("state", "running", "paused"),
    [
        ({}, True, False),
        ({"Paused": True}, True, True),
        ({"Restarting": True}, False, False),
        ({"Running": False}, False, False),
    ],
)
def test_between_two_tries_of_a_restart_policy_it_does_not_run(
    state: dict[str, Any], running: bool, paused: bool
) -> None:
    found = containers.read(inspection(**state))
    assert (found.running, found.paused) == (running, paused)


def test_the_last_word_of_a_healthcheck_is_kept() -> None:
    health = {"Status": "unhealthy", "Log": [{"Output": "first"}, {"Output": "second\n"}]}
    found = containers.read(inspection(Health=health))
    assert (found.health, found.health_output) == ("unhealthy", "second")
    assert containers.read(inspection(Health={"Status": "none", "Log": None})).health == ""
