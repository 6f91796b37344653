"""From a commit to the first answer of the new release: `pier deploy` beside `docker build`, `push`, `service update`.

Both serve the same folder from the same base image, one replica, one file of 2,000 changed, in one run, in turns; each
begins when the other has come to rest. The rival's service publishes a port of the engine; ours is behind the gateway,
and loses no request meanwhile. The second table says when each of our steps had been reached.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import statistics
import subprocess
import tempfile
import time
import tomllib
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pierhead import client
from pierhead.kit import clock
from pierhead.testing import ports, whole
from pierhead.testing.whole import Pierhead, Repository

FILES = 2000
HOST = "bench.dev.localhost"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, whole.running(_made(Path(folder) / "home")) as pierhead:
        ours = Ours(pierhead, Path(folder) / "ours")
        _log_in(pierhead, ours.image().split("/")[0], Path(folder) / "docker")
        rival = Rival(ours.image(), Path(folder) / "rival")
        pairs, steps = [], []
        try:
            for number in range(rounds):
                begin = clock.now()
                mine = _seconds(ours.deploy, ours.answers, f"ours {number}")
                steps.append({**ours.reached(begin), "answers": mine})
                pairs.append((mine, _seconds(rival.deploy, rival.answers, f"rival {number}")))
                rival.settle()
        finally:
            rival.remove()
    print(f"| one file of {FILES:,}, commit → first answer | median of {rounds} | ratio |\n|---|---|---|")
    ratio = statistics.median(mine / other for mine, other in pairs)
    for name, values in zip(
        ("pier deploy", "docker build, push, service update"), zip(*pairs, strict=True), strict=True
    ):
        print(f"| {name} | {statistics.median(values):.2f} s | {ratio if name == 'pier deploy' else 1:.2f}× |")
    print("\n| our steps | reached after (median) |\n|---|---|")
    for name in steps[0]:
        print(f"| {name} | {statistics.median(one[name] for one in steps):.2f} s |")


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
        return _answer(self._pierhead.gateway)

    def reached(self, begin: datetime) -> dict[str, float]:
        """Step → seconds after `begin`. The deployment has ended."""
        return {name: (at - begin).total_seconds() for name, at in asyncio.run(self._reached()).items()}

    async def _reached(self) -> dict[str, datetime]:
        settings = tomllib.loads((self._pierhead.home / "pier.toml").read_text())
        url = f"http://127.0.0.1:{settings['api']['port']}"
        async with client.connected(url, (self._pierhead.home / "token").read_text().strip()) as api:
            build = (await api.get("/builds"))[0]
            found = {"queued": clock.parse(build["created_at"])}
            async for entry in api.follow(f"/builds/{build['id']}/journal"):
                if entry["step"] in ("commit", "push", "built"):
                    found[entry["step"]] = clock.parse(entry["at"])
            deployment = (await api.get(f"/builds/{build['id']}"))["deployment"]
            async for entry in api.follow(f"/deployments/{deployment}/journal"):
                if entry["step"] in ("create", "scale", "done"):
                    found.setdefault(entry["step"], clock.parse(entry["at"]))
        return found


class Rival:
    def __init__(self, base: str, folder: Path) -> None:
        self._folder, self._name = _made(folder), f"bench-{uuid.uuid4().hex[:8]}"
        self._registry, (self._port,) = base.split("/")[0], ports.free(1)
        (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY . /app\n")
        _fill(folder)
        (folder / "index.html").write_text("first")
        self._push("first")
        _docker(
            *("service", "create", "--quiet", "--with-registry-auth", "--name", self._name),
            *(*self._published(), self._tag),
        )

    def _published(self) -> list[str]:
        return ["--env", "PORT=8000", "--publish", f"published={self._port},target=8000,mode=host"]

    def deploy(self, text: str) -> None:
        (self._folder / "index.html").write_text(text)
        self._push(text)
        _docker("service", "update", "--quiet", "--detach", "--with-registry-auth", "--image", self._tag, self._name)

    def answers(self) -> str:
        return _answer(f"http://127.0.0.1:{self._port}")

    def settle(self) -> None:
        """The update has ended."""
        state = "{{.UpdateStatus.State}}"
        while _docker("service", "inspect", "--format", state, self._name).strip() == "updating":
            time.sleep(0.2)

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


def _answer(url: str) -> str:
    """What is answered now; empty: nothing is."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": HOST})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _log_in(pierhead: Pierhead, registry: str, folder: Path) -> None:
    """The rival may push and pull, by Pierhead's own account, which this machine's other users do not get."""
    os.environ["DOCKER_CONFIG"] = str(folder)
    username, _, password = (pierhead.home / "registry-accounts").read_text().split()[0].partition(":")
    _docker("login", "--username", username, "--password-stdin", registry, typed=password)


def _docker(*arguments: str, typed: str = "") -> str:
    ended = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, input=typed)
    if ended.returncode:
        raise RuntimeError(f"docker {arguments[0]} failed: {ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    main()
