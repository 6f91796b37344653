"""Kill -9 of the whole process, after every single step: nobody notices, and it ends as if nobody had been killed."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

import pytest

from pierhead import appfile
from pierhead.release import simulate
from pierhead.testing.load import Load, ask
from pierhead.testing.waiting import until
from pierhead.testing.whole import PIER, Pierhead, Repository

pytestmark = pytest.mark.timeout(900)

DEADLINE = 600
EVENTS = ("event=create", "event=update", "event=remove", "event=start", "event=die")
FILE = """\
app: {app}
ports: {{web: {{port: 8000}}}}
replicas: 2
health: {{http: /healthz}}
deploy:
  strategy: {strategy}
  watch: 1s
  deadline: 3m
  drain: 2s
  stop: 1s
"""
HOOKS = """\
  hooks:
    pre_deploy: [sh, -c, "echo migrated for $PIER_RELEASE"]
    post_deploy: [sh, -c, "echo warmed $PIER_RELEASE"]
"""
HOOKED = "killed-rolling"
STRATEGIES = {
    "killed-rolling": "rolling\n  step: 1",
    "killed-blue-green": "blue-green\n  preview: 1s",
    "killed-canary": "canary\n  stages: [{percent: 50, pause: 1s}]",
    "killed-one-at-a-time": "one-at-a-time",
    "killed-stop-first": "stop-first",
}
THOROUGHLY = ("killed-rolling", "killed-blue-green")
"""Killed at every step; the others at the first one of each kind."""
REPLICAS = 2


def kill_nine(pierhead: Pierhead) -> None:
    os.kill(pid(pierhead), signal.SIGKILL)


def pid(pierhead: Pierhead) -> int:
    return int(json.loads((pierhead.home / "run" / "pier.process").read_text())["pid"])


@pytest.fixture(scope="module")
def apps(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Repository]:
    repositories = {}
    for app, strategy in STRATEGIES.items():
        repository = Repository(tmp_path_factory.mktemp(app), "site", app)
        file = FILE.format(app=app, strategy=strategy)
        repository.write("pier.yaml", file + HOOKS if app == HOOKED else file)
        repository.commit("Serve")
        repositories[app] = repository
    for repository in repositories.values():
        pierhead.pier("deploy", "--detach", str(repository.folder))
    until(lambda: settled(pierhead), "the first releases run", seconds=DEADLINE)
    return repositories


def test_a_build_is_done_again_when_the_server_was_killed(pierhead: Pierhead, apps: Mapping[str, Repository]) -> None:
    site = apps["killed-rolling"]
    site.write("index.html", "built again")
    site.commit("Kill at the recipe")
    with Load(pierhead.gateway, "killed-rolling.dev.localhost") as load:
        command = [str(PIER), "deploy", str(site.folder)]
        with subprocess.Popen(command, env=pierhead.environment, stderr=subprocess.PIPE, text=True) as deploying:
            assert deploying.stderr
            assert any(line.startswith("recipe") for line in deploying.stderr)
            kill_nine(pierhead)
            deploying.kill()
        pierhead.pier("up")
        until(
            lambda: pierhead.json("builds")[0]["state"] not in ("queued", "running"), "the build ends", seconds=DEADLINE
        )
        build = pierhead.json("builds")[0]
        assert build["state"] == "succeeded", build["reason"]
        until(lambda: settled(pierhead), "the deployment ends", seconds=DEADLINE)
    assert load.failures == []
    assert ask(pierhead.gateway, "killed-rolling.dev.localhost") == (200, "built again")


def test_every_step_may_be_the_last_one(pierhead: Pierhead, apps: Mapping[str, Repository]) -> None:
    """All apps move at once; whatever becomes durable for the first time, the process is killed then. In the end it is
    stopped and started as for an upgrade."""
    wanted = normal(pierhead)
    with watching(pierhead) as watch, ExitStack() as stack:
        loads = {app: stack.enter_context(Load(pierhead.gateway, f"{app}.dev.localhost", 20)) for app in apps}
        for app in apps:
            call(pierhead, f"/v1/apps/{app}/environments/dev/restart")
        survive(watch, lambda: settled(pierhead))
        pierhead.pier("up")
    between = loads.pop("killed-stop-first").failures
    assert {app: load.failures for app, load in loads.items() if load.failures} == {}
    assert {text.partition(" ")[0] for text in between} <= {"503"}
    assert watch.most["killed-stop-first"] == (1, REPLICAS)
    assert watch.most["killed-one-at-a-time"] == (2, REPLICAS)
    for app, repository in apps.items():
        spec = appfile.read((repository.folder / "pier.yaml").read_bytes()).spec("dev")
        planned = {line.split()[0] for line in simulate.steps(spec, 2, "v1")} - {"pause"}
        survived = {kind for which, kind, _ in watch.seen if which == app}
        assert planned | {"engine create", "engine update", "engine remove"} <= survived
        assert app != HOOKED or {"pre_deploy", "post_deploy"} <= survived
    assert watch.jobs == {f"{HOOKED} {hook}": 1 for hook in ("pre_deploy", "post_deploy")}
    assert normal(pierhead) == wanted


@dataclass
class Watch:
    """What becomes durable: lines of the journal, and what the engine was told."""

    pierhead: Pierhead
    told: queue.SimpleQueue[str]
    """The engine's events."""
    last: int
    """The journal's line that was read last."""
    alive: Mapping[str, dict[str, str]]
    """App → the containers that have been started, and have not ended, → of which release."""
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    """App, kind of the step, which one."""
    jobs: Counter[str] = field(default_factory=Counter)
    """App and hook → how many containers it had."""
    most: dict[str, tuple[int, int]] = field(default_factory=dict)
    """App → how many releases, and how many containers, were alive at once."""

    def has_grown(self) -> bool:
        """There is a step that there was not before."""
        before = len(self.seen)
        while not self.told.empty():
            self._heard(json.loads(self.told.get()))
        self._read()
        return len(self.seen) > before

    def _read(self) -> None:
        query = (
            "select journal.id, app, step, text from journal join deployments on deployments.id = subject_id"
            " where subject = 'deployment' and journal.id > ?"
        )
        for number, app, step, text in rows(self.pierhead, query, self.last):
            self.last = max(self.last, number)
            if app in STRATEGIES and step not in ("wait", "pause", "log"):
                self._is_seen(app, step, text)

    def _heard(self, event: Mapping[str, Any]) -> None:
        about = event["Actor"]["Attributes"]
        app = next((one for one in STRATEGIES if f"{cluster(self.pierhead)}-{one}-dev-" in about["name"]), "")
        if app and event["Type"] == "service":
            self._is_seen(app, f"engine {event['Action']}", f"{about['name']} {about.get('replicas.new', '')}")
        elif app and "pier.job" in about:
            self.jobs[f"{app} {about['pier.job']}"] += event["Action"] == "create"
        elif app and event["Action"] in ("start", "die"):
            self._lives(app, event["Actor"]["ID"], about["pier.release"], is_there=event["Action"] == "start")

    def _is_seen(self, app: str, kind: str, which: str) -> None:
        self.seen.add((app, kind, which if app in THOROUGHLY else ""))

    def _lives(self, app: str, container: str, release: str, *, is_there: bool) -> None:
        alive = self.alive[app]
        if is_there:
            alive[container] = release
        else:
            alive.pop(container, None)
        releases, containers = self.most.get(app, (0, 0))
        self.most[app] = (max(releases, len(set(alive.values()))), max(containers, len(alive)))


@contextmanager
def watching(pierhead: Pierhead) -> Iterator[Watch]:
    wanted = [f"--filter={one}" for one in ("type=service", "type=container", *EVENTS)]
    command = ["docker", "events", "--format", "{{json .}}", *wanted]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        told: queue.SimpleQueue[str] = queue.SimpleQueue()
        reading = threading.Thread(target=lambda: deque(map(told.put, engine.stdout or ()), maxlen=0))
        reading.start()
        yield Watch(pierhead, told, rows(pierhead, "select max(id) from journal")[0][0], alive())
        engine.terminate()
    reading.join()


def alive() -> Mapping[str, dict[str, str]]:
    """App → its containers → their releases."""
    shown = '{{.ID}} {{.Label "pier.app"}} {{.Label "pier.release"}}'
    command = ["docker", "ps", "--no-trunc", "--format", shown]
    listed = [
        line.split() for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    ]
    return {app: {one[0]: one[2] for one in listed if one[1:2] == [app]} for app in STRATEGIES}


def survive(watch: Watch, is_over: Callable[[], bool]) -> None:
    """The process is killed at every step that is new, and started again, until all is over."""
    end, look = time.monotonic() + DEADLINE, 0.0
    with again(watch.pierhead) as start:
        while True:
            if watch.has_grown():
                kill_nine(watch.pierhead)
                start()
                look = time.monotonic() + 1
            elif time.monotonic() > look:
                if is_over() and not watch.has_grown():
                    break
                assert time.monotonic() < end, sorted(watch.seen)
                look = time.monotonic() + 1
            time.sleep(0.003)
        watch.pierhead.pier("down", "--keep-apps")


@contextmanager
def again(pierhead: Pierhead) -> Iterator[Callable[[], None]]:
    """Starts the process that was killed."""
    command = [sys.executable, "-m", "pierhead.testing.again", str(pierhead.home)]
    with (pierhead.home / "log" / "pier.log").open("ab") as log:
        starter = subprocess.Popen(command, env=pierhead.environment, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def start() -> None:
        before = pid(pierhead)
        assert starter.stdin
        starter.stdin.write(b"again\n")
        starter.stdin.flush()
        until(lambda: pid(pierhead) != before, "the process remembers itself", seconds=DEADLINE)

    with starter:
        yield start
        assert starter.stdin
        starter.stdin.close()


def settled(pierhead: Pierhead) -> bool:
    """Nothing moves, and each app has one engine service, whose containers all run."""
    if rows(pierhead, "select id from deployments where state in ('waiting', 'running')"):
        return False
    there = [line.split() for line in services(pierhead)]
    return len(there) == len(STRATEGIES) and all(count == f"{REPLICAS}/{REPLICAS}" for _, count in there)


def services(pierhead: Pierhead) -> list[str]:
    """`killed-rolling-dev-v1 2/2`, in order."""
    prefix = f"{cluster(pierhead)}-"
    command = ["docker", "service", "ls", "--format", "{{.Name}} {{.Replicas}}", "--filter", f"name={prefix}killed-"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(line.removeprefix(prefix) for line in listed.splitlines())


def normal(pierhead: Pierhead) -> list[str]:
    """All that there is of the apps once nothing moves, whatever the number of the release."""
    routes = [json.dumps(one, sort_keys=True) for one in pierhead.json("routes") if "killed-" in json.dumps(one)]
    states = [
        f"{app} {state}"
        for app, state in rows(
            pierhead,
            "select app, state from deployments join environments using (app) where to_release_id = release_id",
        )
        if app in STRATEGIES
    ]
    return [re.sub(r"\bv\d+\b", "v", line) for line in (*services(pierhead), *sorted(routes), *sorted(states))]


def rows(pierhead: Pierhead, query: str, *values: object) -> list[Any]:
    db = sqlite3.connect(f"file:{pierhead.home / 'pier.db'}?mode=ro", uri=True, timeout=30)
    try:
        return db.execute(query, values).fetchall()
    finally:
        db.close()


def call(pierhead: Pierhead, path: str) -> None:
    port = tomllib.loads((pierhead.home / "pier.toml").read_text())["api"]["port"]
    headers = {"Authorization": f"Bearer {(pierhead.home / 'token').read_text().strip()}"}
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", b"", headers)) as answer:
        assert answer.status == 202


def cluster(pierhead: Pierhead) -> str:
    return str(tomllib.loads((pierhead.home / "pier.toml").read_text())["cluster"])
