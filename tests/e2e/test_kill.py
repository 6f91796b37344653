"""Kill -9 of the whole process in the middle of a deployment: nobody notices, and it comes to an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from pierhead.testing.load import Load, ask
from pierhead.testing.whole import PIER, Pierhead, Repository

HOST = "killed.dev.localhost"
DEADLINE = 150


@pytest.fixture(scope="module")
def site(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("killed"), "site", "killed")
    pierhead.pier("deploy", str(repository.folder))
    return repository


def eventually(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
        time.sleep(0.2)


def kill_nine(pierhead: Pierhead) -> None:
    pid = json.loads((pierhead.home / "run" / "pier.process").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)


def deploy_until(pierhead: Pierhead, folder: str, step: str) -> None:
    """Begins a deployment and returns when its journal shows `step`."""
    command = [str(PIER), "deploy", folder]
    with subprocess.Popen(command, env=pierhead.environment, stderr=subprocess.PIPE, text=True) as deploying:
        assert deploying.stderr
        for line in deploying.stderr:
            if line.startswith(step):
                break
        kill_nine(pierhead)
        deploying.kill()


@pytest.mark.parametrize("step", ["recipe", "release", "create", "scale"])
def test_a_deployment_ends_although_the_server_was_killed_in_the_middle(
    pierhead: Pierhead, site: Repository, step: str
) -> None:
    site.write("index.html", f"after a kill at {step}")
    site.commit(f"Kill at {step}")
    with Load(pierhead.gateway, HOST) as load:
        deploy_until(pierhead, str(site.folder), step)
        pierhead.pier("up")
        eventually(lambda: pierhead.json("builds")[0]["state"] not in ("queued", "running"), "the build ends")
        build = pierhead.json("builds")[0]
        assert build["state"] == "succeeded", build["reason"]
        eventually(lambda: not pierhead.json("ps", "killed")["environments"][0]["moving"], "the deployment ends")
    assert load.failures == []
    assert ask(pierhead.gateway, HOST) == (200, f"after a kill at {step}")


def test_down_with_keep_apps_and_up_again_is_not_noticed(pierhead: Pierhead, site: Repository) -> None:
    with Load(pierhead.gateway, HOST) as load:
        pierhead.pier("down", "--keep-apps")
        pierhead.pier("up")
    assert load.failures == []
    assert sum(load.answers.values()) > 20
