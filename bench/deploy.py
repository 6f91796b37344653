"""From a commit to the first answer of the new release: `pier deploy` beside `docker build`, `push`, `service update`.

Both serve the same folder from the same base image, one replica, one file of 2,000 changed, in one run, in turns. The
rival's service publishes a port of the engine; ours is behind the gateway, and loses no request meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import aiohttp

from pierhead.testing import ports, whole
from pierhead.testing.load import ask
from pierhead.testing.whole import Pierhead, Repository

FILES = 2000
HOST = "bench.dev.localhost"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, whole.running(_made(Path(folder) / "home")) as pierhead:
        ours = Ours(pierhead, Path(folder) / "ours")
        rival = Rival(ours.image(), Path(folder) / "rival")
        try:
            times: dict[str, list[float]] = {"pier deploy": [], "docker build, push, service update": []}
            for number in range(rounds):
                times["pier deploy"].append(_seconds(ours.deploy, ours.answers, f"ours {number}"))
                rival_time = _seconds(rival.deploy, rival.answers, f"rival {number}")
                times["docker build, push, service update"].append(rival_time)
        finally:
            rival.remove()
    medians = {name: statistics.median(values) for name, values in times.items()}
    slowest = max(medians.values())
    print(f"| one file of {FILES:,}, commit → first answer | median of {rounds} | ratio |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} s | {median / slowest:.2f}× |")


class Ours:
    def __init__(self, pierhead: Pierhead, folder: Path) -> None:
        self._pierhead = pierhead
        self._repository = Repository(folder, "site", "bench")
        self._repository.replace("pier.yaml", "replicas: 2", "replicas: 1")
        _fill(folder)
        self._repository.commit("Fill")
        pierhead.pier("deploy", str(folder))

    def image(self) -> str:
        return str(self._pierhead.json("releases", "bench")[0]["image"])

    def deploy(self, text: str) -> None:
        self._repository.write("index.html", text)
        self._repository.commit(text)
        self._pierhead.pier("deploy", "--detach", str(self._repository.folder))

    def answers(self) -> str:
        return ask(self._pierhead.gateway, HOST)[1]


class Rival:
    def __init__(self, base: str, folder: Path) -> None:
        self._folder, self._name = _made(folder), f"bench-{uuid.uuid4().hex[:8]}"
        self._registry, (self._port,) = base.split("/")[0], ports.free(1)
        (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY . /app\n")
        _fill(folder)
        (folder / "index.html").write_text("first")
        self._push("first")
        _docker(
            "service", "create", "--quiet", "--name", self._name, "--env", "PORT=8000", *self._published(), self._tag
        )

    def _published(self) -> list[str]:
        return ["--env", "PORT=8000", "--publish", f"published={self._port},target=8000,mode=host"]

    def deploy(self, text: str) -> None:
        (self._folder / "index.html").write_text(text)
        self._push(text)
        _docker("service", "update", "--quiet", "--detach", "--image", self._tag, self._name)

    def answers(self) -> str:
        try:
            return ask(f"http://127.0.0.1:{self._port}", HOST)[1]
        except aiohttp.ClientError:
            return ""

    def remove(self) -> None:
        _docker("service", "scale", "--detach", f"{self._name}=0")
        time.sleep(5)
        _docker("service", "rm", self._name)

    def _push(self, text: str) -> None:
        self._tag = f"{self._registry}/{self._name}:{text.replace(' ', '-')}"
        _docker("build", "--quiet", "--tag", self._tag, str(self._folder))
        _docker("push", "--quiet", self._tag)


def _seconds(deploy: Callable[[str], None], answers: Callable[[], str], text: str) -> float:
    begin = time.monotonic()
    deploy(text)
    while answers() != text:
        time.sleep(0.01)
    return time.monotonic() - begin


def _fill(folder: Path) -> None:
    for number in range(FILES):
        (_made(folder / f"part{number % 20}") / f"{number}.txt").write_text(f"{number}\n" * 1000)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
