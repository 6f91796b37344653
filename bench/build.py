"""From a commit that changes one file to an image in the registry: Pierhead beside `docker build` + `docker push`.

    uv run python bench/build.py [--files 2000] [--megabytes 10] [--rounds 7]

Both work on the same commits, the same base image, the same engine and the same registry, in one run, who is first in
turn. Ours is measured from the commit in its git repository (with the fetch), the rival's from the checked out files,
without `.git`. What is built once and kept (the base image, the first image) is there before the clock starts.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pierhead.build import base, image, source
from pierhead.build.image import Limits, Request
from pierhead.model.app import BuildSpec
from pierhead.testing import registry
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
APP = "bench-build"
OURS, RIVAL = "pier", "docker build + push"
IDENTITY = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PER_FOLDER = 40


@dataclass(frozen=True, slots=True)
class Place:
    work: Path
    bare: Path
    registry: str
    engine: Engine


def run(*command: str | Path) -> str:
    """What the command wrote. Raises: CalledProcessError."""
    environ = {**os.environ, **IDENTITY, "DOCKER_HOST": SOCKET, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: int, megabytes: float) -> None:
    """A repository of that many files and bytes, half text and half noise, with a page to begin with."""
    noise = random.Random(7)
    size = int(megabytes * 1e6 / files)
    for number in range(files - 1):
        path = folder / f"part{number // PER_FOLDER}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"the same line again\n" * (size // 40) + noise.randbytes(size - size // 2))
    (folder / ".dockerignore").write_text(".git\n")
    run("git", "-C", folder, "init", "-q", "-b", "main")


def commit(folder: Path, number: int) -> None:
    """One file has changed."""
    (folder / "index.html").write_text(f"round {number}")
    run("git", "-C", folder, "add", "-A")
    run("git", "-C", folder, "commit", "-q", "-m", f"Round {number}")


async def ours(place: Place) -> str:
    """The image's reference."""
    fetched = await source.fetch(place.bare, str(place.work), "main")
    request = Request(APP, fetched, place.bare, BuildSpec(), Access(place.registry), place.engine, Limits(0, 1 << 30))
    return (await image.build_and_push(request, _ignored)).reference


async def rival(place: Place) -> str:
    """The image's id."""
    return await asyncio.to_thread(_rival, place)


def _rival(place: Place) -> str:
    tag = f"{place.registry}/{APP}-docker:latest"
    built = run("docker", "build", "--quiet", "--tag", tag, "--file", place.work.parent / "Dockerfile", place.work)
    run("docker", "push", "--quiet", tag)
    return built


async def measure(place: Place, rounds: int) -> dict[str, list[float]]:
    """Seconds of every round; the first one, in which all is new, is not counted."""
    found: dict[str, list[float]] = {OURS: [], RIVAL: []}
    made: list[str] = []
    try:
        for number in range(rounds + 1):
            commit(place.work, number)
            for name in sorted(found, reverse=bool(number % 2)):
                begun = time.perf_counter()
                made.append(await (ours if name == OURS else rival)(place))
                if number:
                    found[name].append(time.perf_counter() - begun)
    finally:
        _forget(made)
    return found


def _forget(images: Sequence[str]) -> None:
    """The engine has none of them any more."""
    for name in dict.fromkeys(images):
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def show(found: dict[str, list[float]], circumstances: str) -> None:
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    print(circumstances)
    for name, seconds in found.items():
        print(f"{name:22} median {medians[name]:6.3f} s   min {min(seconds):6.3f}   max {max(seconds):6.3f}")
    print(f"{'pier / docker':22} {medians[OURS] / medians[RIVAL]:13.2f} x")


async def _ignored(step: str, text: str) -> None:
    """The log is not looked at."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pier-bench-") as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        (folder / "work").mkdir()
        write(folder / "work", given.files, given.megabytes)
        async with registry.serving(folder / "registry") as address, Engine(SOCKET) as engine:
            async with Registry(address) as client:
                below = await base.ensure("static", client, _ignored)
            (folder / "Dockerfile").write_text(f"FROM {below.reference}\nWORKDIR /app\nCOPY . /app\n")
            place = Place(folder / "work", folder / "bare.git", address, engine)
            run("docker", "pull", "--quiet", below.reference)
            try:
                found = await measure(place, given.rounds)
            finally:
                _forget([below.reference])
    version = run("docker", "version", "--format", "{{.Server.Version}}")
    estate = f"{given.files} files, {given.megabytes:g} MB, one changes"
    show(found, f"{estate}; Docker {version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
