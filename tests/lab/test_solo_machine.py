"""One machine: everything comes up, survives kill -9, and is gone after `pier down`.

The machine is a network namespace of this one, with an engine that Pierhead starts itself in a folder of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
SECONDS = 60


@dataclass(frozen=True)
class Machine:
    """A network namespace, and the data folder of the Pierhead in it."""

    name: str
    home: Path

    def pier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`pier` ran on that machine."""
        settings = {
            "PIER_HOME": str(self.home),
            "PIER_ENGINE_SOCKET": f"unix://{self.home}/docker.sock",
            "PIER_CLUSTER": self.name,
        }
        return subprocess.run(
            ("nsenter", f"--net=/run/netns/{self.name}", *PIER, *arguments),
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def up(self) -> None:
        ended = self.pier("up")
        assert ended.returncode == 0, ended.stderr + self.logs()

    def status(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.pier("status", "--json").stdout)
        return value

    def part(self, name: str) -> dict[str, Any]:
        return next(part for part in self.status()["parts"] if part["name"] == name)

    def pid(self, name: str) -> int:
        return int(json.loads((self.home / "run" / f"{name}.process").read_text())["pid"])

    def processes(self) -> dict[int, str]:
        """Everything that runs in that namespace."""
        pids = subprocess.run(("ip", "netns", "pids", self.name), capture_output=True, text=True, check=True).stdout
        return {int(pid): _command(int(pid)) for pid in pids.split()}

    def deploy(self, repository: Path) -> None:
        ended = self.pier("deploy", str(repository))
        assert ended.returncode == 0, ended.stderr + self.logs()
        assert self.ask() == "hello"

    def ask(self) -> str:
        """What the app answers through the gateway; how it is refused where it does not."""
        command = ("curl", "--silent", "--show-error", "--fail", "--max-time", "5", "http://hello.dev.localhost:8080/")
        ended = subprocess.run(
            ("nsenter", f"--net=/run/netns/{self.name}", *command), capture_output=True, text=True, check=False
        )
        return ended.stdout or ended.stderr

    def app(self) -> set[int]:
        """The processes that hold the app's containers."""
        return {pid for pid, command in self.processes().items() if "containerd-shim" in command}

    def logs(self) -> str:
        return "\n".join(f"--- {log}\n{log.read_text()[-3000:]}" for log in self.home.glob("log/*.log"))


def _command(pid: int) -> str:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_text().replace("\0", " ") if path.exists() else ""


def until(condition: Callable[[], object], machine: Machine) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, machine.logs()
        time.sleep(0.1)


def _remove(folder: Path) -> None:
    """An engine that was killed leaves its folder mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(("umount", "--lazy", mount), check=True)
    shutil.rmtree(folder)


DOCKERFILE = """\
FROM scratch
COPY busybox /busybox
COPY index.html /www/index.html
CMD ["/busybox", "httpd", "-f", "-p", "8000", "-h", "/www"]
"""
PIER_YAML = """\
app: hello
build: {dockerfile: Dockerfile}
ports:
  web: {port: 8000}
health: {http: /}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit of an app that says hello, and needs nothing from any network."""
    shutil.copy("/bin/busybox", tmp_path)
    texts = {"Dockerfile": DOCKERFILE, "pier.yaml": PIER_YAML, "index.html": "hello"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "Say hello")):
        subprocess.run((*git, *command), check=True)
    return tmp_path


@pytest.fixture
def machine() -> Iterator[Machine]:
    name = f"solo-{secrets.token_hex(3)}"
    inside = ("ip", "-n", name)
    for command in (
        ("ip", "netns", "add", name),
        (*inside, "link", "set", "lo", "up"),
        (*inside, "link", "add", "eth0", "type", "veth", "peer", "name", "wire"),
        (*inside, "addr", "add", "10.77.0.2/24", "dev", "eth0"),
        (*inside, "link", "set", "eth0", "up"),
        (*inside, "link", "set", "wire", "up"),
        (*inside, "route", "add", "default", "via", "10.77.0.1"),
    ):
        subprocess.run(command, check=True, capture_output=True)
    found = Machine(name, Path(tempfile.mkdtemp(prefix=f"{name}-")))
    try:
        yield found
    finally:
        found.pier("down")
        for pid in found.processes():
            os.kill(pid, signal.SIGKILL)
        subprocess.run(("ip", "netns", "del", name), check=True)
        _remove(found.home)


def test_one_machine_comes_up_survives_kill_9_and_leaves_nothing(machine: Machine) -> None:
    machine.up()
    whole = machine.status()
    assert whole["ready"]
    assert {part["state"] for part in whole["parts"]} == {"ready"}
    assert "swarm node 10.77.0.2" in machine.part("engine")["detail"]
    engine, registry = machine.pid("engine"), machine.pid("registry")

    again = machine.pier("up")
    assert again.returncode == 0
    assert f"runs already (pid {whole['pid']})" in again.stderr

    os.kill(whole["pid"], signal.SIGKILL)
    shown = machine.pier("status")
    assert shown.returncode == 7
    assert "runs on without" in shown.stdout

    machine.up()
    assert machine.status()["pid"] != whole["pid"]
    assert (machine.pid("engine"), machine.pid("registry")) == (engine, registry)

    ended = machine.pier("down")
    assert ended.returncode == 0, ended.stderr
    assert machine.processes() == {}
    assert machine.pier("status").returncode == 7
    assert machine.pier("down").returncode == 0


def test_a_program_that_dies_is_started_again_and_reported(machine: Machine) -> None:
    machine.up()
    for name in ("registry", "engine"):
        before = machine.pid(name)
        os.kill(before, signal.SIGKILL)
        until(lambda name=name: machine.part(name)["restarts"] == 1, machine)  # type: ignore[misc]
        until(lambda name=name: machine.part(name)["state"] == "ready", machine)  # type: ignore[misc]
        assert machine.pid(name) != before
    assert machine.pier("status").returncode == 0


def test_the_apps_stay_up_when_they_are_kept(machine: Machine, repository: Path) -> None:
    machine.up()
    machine.deploy(repository)
    app, engine = machine.app(), machine.pid("engine")
    assert app
    ended = machine.pier("down", "--keep-apps")
    assert ended.returncode == 0
    assert "engine, haproxy and the apps stay up" in ended.stdout
    assert machine.ask() == "hello"
    commands = machine.processes().values()
    assert not any("pierhead.boot.solo" in command or "docker-registry" in command for command in commands)
    machine.up()
    assert (machine.app(), machine.pid("engine")) == (app, engine)
    assert machine.ask() == "hello"


def test_a_start_that_fails_leaves_nothing_running(machine: Machine) -> None:
    subprocess.run(("ip", "-n", machine.name, "route", "del", "default"), check=True)
    inside = ("ip", "-n", machine.name)
    subprocess.run((*inside, "addr", "add", "10.78.0.2/24", "dev", "wire"), check=True)
    ended = machine.pier("up")
    assert ended.returncode == 7
    assert "several addresses that are as good as each other: 10.77.0.2 (eth0), 10.78.0.2 (wire)" in ended.stderr
    assert "-o engine.advertise=ADDRESS" in ended.stderr
    assert machine.processes() == {}


@pytest.mark.parametrize("killed", [(), ("pier",), ("pier", "engine")])
def test_down_ends_the_apps_too_whoever_is_dead(machine: Machine, repository: Path, killed: Sequence[str]) -> None:
    machine.up()
    machine.deploy(repository)
    for name in killed:
        os.kill(machine.pid(name), signal.SIGKILL)
    begin = time.monotonic()
    ended = machine.pier("down")
    assert ended.returncode == 0, ended.stderr
    assert "hello-dev-v1" in ended.stderr
    assert time.monotonic() - begin < 35, "the engine had to kill it"
    assert machine.processes() == {}


def test_the_apps_are_back_after_down_and_up(machine: Machine, repository: Path) -> None:
    machine.up()
    machine.deploy(repository)
    assert machine.pier("down").returncode == 0
    machine.up()
    until(lambda: machine.ask() == "hello", machine)
