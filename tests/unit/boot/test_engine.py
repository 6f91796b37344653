"""Which engine is started how, and which swarm can be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pierhead.boot import engine
from pierhead.kit import errors
from pierhead.settings import Engine, Settings


def swarm(state: str, *, manages: bool = False, **more: Any) -> dict[str, Any]:
    return {"LocalNodeState": state, "ControlAvailable": manages, **more}


def test_the_machines_own_engine_keeps_its_usual_folders() -> None:
    told = engine.command(Settings(home=Path("/data")))
    assert "--ip=127.0.0.1" in told
    assert not any(word.startswith(("--data-root", "--exec-root")) for word in told)


def test_an_engine_at_another_socket_has_folders_of_its_own() -> None:
    told = engine.command(Settings(home=Path("/data"), engine=Engine(socket="unix:///data/docker.sock")))
    assert "--data-root=/data/engine" in told
    assert "--exec-root=/data/run/dockerd" in told


def test_its_sockets_fit_the_kernels_limit_wherever_the_data_folder_is() -> None:
    home = Path("/data") / ("long" * 30)
    told = engine.command(Settings(home=home, engine=Engine(socket="unix:///data/docker.sock")))
    root = next(word.partition("=")[2] for word in told if word.startswith("--exec-root"))
    assert len(f"{root}/containerd/containerd-debug.sock") < 107
    other = replace(Settings(), home=home / "other", engine=Engine(socket="unix:///data/docker.sock"))
    assert f"--exec-root={root}" not in engine.command(other)


def test_a_swarm_is_made_only_where_there_is_none() -> None:
    assert engine.needs_swarm(swarm("inactive"))
    assert not engine.needs_swarm(swarm("active", manages=True))


def test_a_worker_is_refused_with_the_managers_it_has() -> None:
    with pytest.raises(errors.Conflict, match="worker") as caught:
        engine.needs_swarm(swarm("active", RemoteManagers=[{"Addr": "10.0.0.1:2377"}, {"Addr": "10.0.0.2:2377"}]))
    assert "10.0.0.1, 10.0.0.2" in caught.value.hint


def test_a_locked_swarm_is_refused_and_a_broken_one_is_tried_again() -> None:
    with pytest.raises(errors.Conflict, match="locked"):
        engine.needs_swarm(swarm("locked"))
    with pytest.raises(errors.Unavailable, match=r"\(error\): no route"):
        engine.needs_swarm(swarm("error", Error="no route"))
