"""From a commit to an image in the registry: Pierhead beside `docker build` + `docker push`, in three cases.

    uv run python bench/build.py [--files 2000] [--megabytes 10] [--rounds 7]

`one file`: one of the files has changed. `lock file`: requirements.txt has changed, and two packages are installed.
`cold`: an app of which nothing is known yet; base images are there.

Both work on the same commits, the same base image, the same engine and the same registry, in one run, who is first in
turn. Ours is measured from the commit in its git repository (with the fetch), the rival's from the checked out files,
without `.git`. Also told: how many bytes a node pulls that has the image before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from pierhead.build import base, image, source
from pierhead.build.image import Limits, Request
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.testing import bases, registry
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
APP = "bench-build"
OURS, RIVAL = "pier", "docker build + push"
IDENTITY = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PER_FOLDER = 40
SIZE = (2000, 10.0)
ONE_FILE, LOCK_FILE, COLD = "one file", "lock file", "cold"
PACKAGES = "blinker==1.9.0\nitsdangerous==2.2.0\n"
COPY = "WORKDIR /app\nCOPY . /app\n"
INSTALL = (
    "WORKDIR /app\nCOPY requirements.txt /app/\n"
    "RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir "
    "--trusted-host pypi.org --trusted-host files.pythonhosted.org -r requirements.txt\n"
)
"""The hosts are trusted by name, because a `docker build` does not know an authority that only this machine trusts."""
DOCKERFILES = {ONE_FILE: COPY, LOCK_FILE: INSTALL + COPY, COLD: COPY}


@dataclass(frozen=True, slots=True)
class Place:
    work: Path
    bare: Path
    registry: str
    engine: Engine
    client: Registry
    app: str


@dataclass
class Found:
    """What was measured of one of the two in one case."""

    seconds: list[float] = field(default_factory=list)
    pulled: list[int] = field(default_factory=list)
    layers: dict[str, int] = field(default_factory=dict)
    """Of the newest image: digest and bytes."""

    def note(self, seconds: float, layers: dict[str, int]) -> None:
        self.seconds.append(seconds)
        self.pulled.append(sum(size for digest, size in layers.items() if digest not in self.layers))
        self.layers = layers


def run(*command: str | Path) -> str:
    """What the command wrote. Raises: CalledProcessError."""
    environ = {**os.environ, **IDENTITY, "DOCKER_HOST": SOCKET, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: int, megabytes: float, seed: int = 7) -> None:
    """A repository of that many files and bytes, half text and half noise, with a page to begin with."""
    noise = random.Random(seed)
    size = int(megabytes * 1e6 / files)
    for number in range(files - 1):
        path = folder / f"part{number // PER_FOLDER}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"the same line again\n" * (size // 40) + noise.randbytes(size - size // 2))
    (folder / ".dockerignore").write_text(".git\n")
    run("git", "-C", folder, "init", "-q", "-b", "main")


def commit(folder: Path, number: int, case: str) -> None:
    """What the case is about has changed."""
    (folder / "index.html").write_text(f"round {number}")
    if case == LOCK_FILE:
        (folder / "app.py").write_text("print()\n")
        (folder / "requirements.txt").write_text(f"{PACKAGES}# round {number}\n")
    run("git", "-C", folder, "add", "-A")
    run("git", "-C", folder, "commit", "-q", "-m", f"Round {number}")


async def ours(place: Place) -> dict[str, int]:
    """The layers of the image."""
    fetched = await source.fetch(place.bare, str(place.work), "main")
    request = Request(
        place.app, fetched, place.bare, BuildSpec(), Access(place.registry), place.engine, Limits(0, 1 << 30)
    )
    made = await image.build_and_push(request, _ignored)
    return await _layers(place, place.app, made.reference.partition("@")[2])


async def rival(place: Place) -> dict[str, int]:
    """The layers of the image."""
    name = f"{place.app}-docker"
    await asyncio.to_thread(_rival, place, f"{place.registry}/{name}:latest")
    return await _layers(place, name, "latest")


def _rival(place: Place, tag: str) -> None:
    run("docker", "build", "--quiet", "--tag", tag, "--file", place.work.parent / "Dockerfile", place.work)
    run("docker", "push", "--quiet", tag)


async def _layers(place: Place, name: str, reference: str) -> dict[str, int]:
    found = await place.client.manifest(name, reference)
    if found is None:
        raise errors.Broken(f"The registry has no {name}:{reference}, which was just pushed.")
    return {one["digest"]: one["size"] for one in [*found.value["layers"], found.value["config"]]}


async def measure(place: Place, rounds: int, case: str) -> dict[str, Found]:
    """Every round but the first, in which all is new."""
    found = {OURS: Found(), RIVAL: Found()}
    for number in range(rounds + 1):
        commit(place.work, number, case)
        for name in sorted(found, reverse=bool(number % 2)):
            begun = time.perf_counter()
            layers = await (ours if name == OURS else rival)(place)
            found[name].note(time.perf_counter() - begun, layers)
    return {name: Found(one.seconds[1:], one.pulled[1:]) for name, one in found.items()}


async def measure_cold(place: Place, rounds: int, size: tuple[int, float]) -> dict[str, Found]:
    """An app that nobody knows, each round another one: other content too."""
    found = {OURS: Found(), RIVAL: Found()}
    for number in range(rounds):
        fresh = replace(place, app=f"{place.app}-cold{number}", bare=place.bare.with_name(f"cold{number}.git"))
        write(place.work, *size, seed=number)
        commit(place.work, number, ONE_FILE)
        for name in sorted(found, reverse=bool(number % 2)):
            begun = time.perf_counter()
            layers = await (ours if name == OURS else rival)(fresh)
            found[name].layers = {}
            found[name].note(time.perf_counter() - begun, layers)
    return found


def _forget(address: str) -> None:
    """The engine has no image of that registry any more."""
    names = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    for name in (name for name in names if name.startswith(f"{address}/")):
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def show(case: str, found: dict[str, Found]) -> None:
    medians = {name: statistics.median(one.seconds) for name, one in found.items()}
    for name, one in found.items():
        pulled = statistics.median(one.pulled) / 1e6
        spread = f"min {min(one.seconds):7.3f}   max {max(one.seconds):7.3f}"
        print(f"{case:10} {name:20} median {medians[name]:7.3f} s   {spread}   a node pulls {pulled:8.3f} MB")
    shares = [statistics.median(found[name].pulled) for name in (OURS, RIVAL)]
    print(f"{case:10} {'pier / docker':20} {medians[OURS] / medians[RIVAL]:14.2f} x {shares[0] / shares[1]:50.2f} x")


async def _ignored(step: str, text: str) -> None:
    """The log is not looked at."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=SIZE[0])
    parser.add_argument("--megabytes", type=float, default=SIZE[1])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    version = run("docker", "version", "--format", "{{.Server.Version}}")
    load = os.getloadavg()[0]
    print(f"{given.files} files, {given.megabytes:g} MB; Docker {version}, {os.cpu_count()} cores, load {load:.1f}")
    with tempfile.TemporaryDirectory(prefix="pier-bench-") as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        async with (
            registry.serving(folder / "registry") as address,
            Engine(SOCKET) as engine,
            Registry(address) as client,
        ):
            await bases.seed(client, ["static", "python", "python-build"])
            try:
                for case in DOCKERFILES:
                    await _case(case, folder, client, engine, given)
            finally:
                _forget(address)


async def _case(case: str, folder: Path, client: Registry, engine: Engine, given: argparse.Namespace) -> None:
    """One case, measured and shown."""
    below = "python-build" if case == LOCK_FILE else "static"
    work = folder / case.replace(" ", "-") / "work"
    work.mkdir(parents=True)
    size = (given.files, given.megabytes)
    write(work, *size)
    under = f"{client.address}/base/{below}:{base.SUITE}"
    (work.parent / "Dockerfile").write_text(f"FROM {under}\n{DOCKERFILES[case]}")
    run("docker", "pull", "--quiet", under)
    place = Place(work, work.with_name("bare.git"), client.address, engine, client, f"{APP}-{below}")
    few = min(given.rounds, 3)
    if case == COLD:
        show(case, await measure_cold(place, few, size))
    else:
        show(case, await measure(place, given.rounds if case == ONE_FILE else few, case))


if __name__ == "__main__":
    asyncio.run(main())
