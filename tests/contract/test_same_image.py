"""The same commit is the same image, whoever builds it, whenever and wherever."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pierhead.build import layer
from pierhead.build.layer import Config
from pierhead.kit import clock
from pierhead.testing import build_alone, registry
from pierhead.wire.oci.client import Registry

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/nowhere"))
DATE = "2026-03-04T05:06:07+0100"


async def put_base(connected: Registry, folder: Path) -> None:
    """The registry has the image `tiny:1`, of one empty layer."""
    made = layer.packed(layer.END, folder / "layer")
    config = layer.config(Config(), [made.layer], clock.moment(0))
    await connected.put_file("tiny", made.layer.digest, made.path)
    await connected.put_blob("tiny", config)
    await connected.put_manifest("tiny", "1", layer.manifest(config, [made.layer]))


def committed(work: Path) -> str:
    """A repository with a few odd files; its commit."""
    work.mkdir()
    (work / "run").write_text("#!/bin/sh\n")
    (work / "run").chmod(0o755)
    (work / os.fsdecode(b"not-\xff-utf8\n")).write_text("odd")
    (work / "link").symlink_to("run")
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
    env = {**os.environ, "GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-qm", "One")):
        subprocess.run(["git", "-C", work, *arguments], check=True, env=env)
    return subprocess.run(["git", "-C", work, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout


def built(place: Path, work: Path, address: str, umask: int, user: int, env: Mapping[str, str]) -> str:
    """The digest of what another machine makes of it, with its own folder, clock, user, umask and language."""
    place.mkdir()
    os.chown(place, user, user)
    (place / ".gitconfig").write_text(
        f"[safe]\ndirectory = {work}\ndirectory = {work}/.git\n[tar]\numask = 0{umask:o}\n"
    )
    arguments = [sys.executable, "-m", build_alone.__name__, str(work), str(place / "app.git"), address, str(user)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "TMPDIR": str(place), **env}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, umask=umask, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture
def seen() -> Iterator[Path]:
    """A folder that every user may look into; those of pytest are its user's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody else")
async def test_two_machines_with_other_clocks_users_and_umasks_make_the_same_image(seen: Path) -> None:
    commit = committed(seen / "work").strip()
    other = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+9y", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "Asia/Shanghai"}
    made, configs = [], []
    for name, umask, user, env in (("one", 0o022, 0, {}), ("two", 0o077, 65534, {**other, "LC_ALL": "C"})):
        (seen / f"registry-{name}").mkdir()
        async with registry.serving(seen / f"registry-{name}") as address, Registry(address) as connected:
            await put_base(connected, seen)
            made.append(built(seen / name, seen / "work", address, umask, user, env))
            manifest = await connected.manifest("alone", made[-1])
            assert manifest
            configs.append(await connected.json_blob("alone", manifest.value["config"]["digest"]))
    assert made[0] == made[1]
    labels = configs[1]["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.version"] == commit[:10]
    assert labels["org.opencontainers.image.created"] == configs[1]["created"] == "2026-03-04T04:06:07.000Z"
    assert labels["org.opencontainers.image.source"] == "https://git.example.com/team/alone.git"


def test_the_other_clock_is_another_one() -> None:
    """What the test above relies on."""
    env = {**os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME": "+9y"}
    said = subprocess.run(["date", "+%Y"], check=True, capture_output=True, text=True, env=env).stdout
    assert int(said) >= clock.now().year + 8
