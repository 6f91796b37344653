"""The same commit is the same image, whoever builds it, whenever and wherever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pierhead.build import layer
from pierhead.build.layer import Config
from pierhead.kit import clock
from pierhead.testing import build_alone, registry
from pierhead.wire.oci import client as oci
from pierhead.wire.oci.client import Registry

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/nowhere"))
GZIP_TYPES = [oci.MANIFEST, oci.CONFIG, oci.LAYER, oci.LAYER]
ZSTD_TYPES = [oci.OCI_MANIFEST, oci.OCI_CONFIG, f"{oci.OCI_LAYER}+gzip", f"{oci.OCI_LAYER}+zstd"]
"""Of an image's manifest, its config, its base and its own layer."""
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


@dataclass(frozen=True)
class Machine:
    name: str
    umask: int = 0o022
    user: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


OTHER = {
    "LD_PRELOAD": str(FAKETIME),
    "FAKETIME": "+9y",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "TZ": "Asia/Shanghai",
    "LC_ALL": "C",
}
MACHINES = (Machine("one"), Machine("two", 0o077, 65534, OTHER))


def built(there: Machine, place: Path, work: Path, address: str, compression: str) -> str:
    """The digest of what that machine makes of it, with its own folder, clock, user, umask and language."""
    place.mkdir()
    os.chown(place, there.user, there.user)
    (place / ".gitconfig").write_text(
        f"[safe]\ndirectory = {work}\ndirectory = {work}/.git\n[tar]\numask = 0{there.umask:o}\n"
    )
    told = (str(work), str(place / "app.git"), address, str(there.user), compression)
    arguments = [sys.executable, "-m", build_alone.__name__, *told]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "TMPDIR": str(place), **there.env}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, umask=there.umask, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture
def seen() -> Iterator[Path]:
    """A folder that every user may look into; those of pytest are its user's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody else")
@pytest.mark.parametrize(("compression", "types"), [("gzip", GZIP_TYPES), ("zstd", ZSTD_TYPES)])
async def test_two_machines_with_other_clocks_users_and_umasks_make_the_same_image(
    seen: Path, compression: str, types: list[str]
) -> None:
    commit = committed(seen / "work").strip()
    made, configs = [], []
    for there in MACHINES:
        (seen / f"registry-{there.name}").mkdir()
        async with registry.serving(seen / f"registry-{there.name}") as address, Registry(address) as connected:
            await put_base(connected, seen)
            made.append(built(there, seen / there.name, seen / "work", address, compression))
            manifest = await connected.manifest("alone", made[-1])
            assert manifest
            parts = [manifest.value, manifest.value["config"], *manifest.value["layers"]]
            assert [part["mediaType"] for part in parts] == types
            configs.append(await connected.json_blob("alone", manifest.value["config"]["digest"]))
            assert unpacked(f"{address}/alone@{made[-1]}", seen / there.name) == configs[-1]["rootfs"]["diff_ids"]
    assert made[0] == made[1]
    labels = configs[1]["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.version"] == commit[:10]
    assert labels["org.opencontainers.image.created"] == configs[1]["created"] == "2026-03-04T04:06:07.000Z"
    assert labels["org.opencontainers.image.source"] == "https://git.example.com/team/alone.git"


def unpacked(image: str, folder: Path) -> list[str]:
    """The digests of the image's layers, as somebody else's program unpacks them."""
    copy = ("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-decompress", f"docker://{image}")
    subprocess.run([*copy, f"dir:{folder / 'image'}"], check=True, capture_output=True)
    described = json.loads((folder / "image" / "manifest.json").read_text())
    files = [folder / "image" / str(one["digest"]).removeprefix("sha256:") for one in described["layers"]]
    return [oci.digest(file.read_bytes()) for file in files]


def test_the_other_clock_is_another_one() -> None:
    """What the test above relies on."""
    env = {**os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME": "+9y"}
    said = subprocess.run(["date", "+%Y"], check=True, capture_output=True, text=True, env=env).stdout
    assert int(said) >= clock.now().year + 8
