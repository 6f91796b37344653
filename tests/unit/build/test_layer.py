"""Layers are the same whatever made their tar, and images name them as engines want it."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pierhead.build import compression, layer
from pierhead.build.layer import Config, Layer
from pierhead.kit import clock
from pierhead.wire.oci import client as oci


def tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"x") -> Path:
    with tarfile.open(path, "w") as made:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            made.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def test_order_owner_and_times_do_not_matter(tmp_path: Path) -> None:
    one = tar(tmp_path / "1", member("venv/b", mtime=5, uid=7, uname="me"), member("venv/a", mode=0o755))
    two = tar(tmp_path / "2", member("venv/a", mode=0o755, mtime=9), member("venv/b", gid=3))
    first, second = (
        layer.normalised(path, tmp_path / f"{path.name}.gz", lambda name: f"opt/{name}", 0) for path in (one, two)
    )
    assert first.layer == second.layer
    with tarfile.open(first.path) as made:
        assert [(found.name, found.mode, found.uid, found.mtime) for found in made] == [
            ("opt/venv/a", 0o755, 0, 0),
            ("opt/venv/b", 0o644, 0, 0),
        ]


def test_links_keep_where_they_lead_and_what_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    source = tar(
        tmp_path / "1",
        member("app/a"),
        member("app/0hard", tarfile.LNKTYPE, linkname="app/a"),
        member("app/soft", tarfile.SYMTYPE, linkname="../b"),
        member("app/left"),
    )
    made = layer.normalised(source, tmp_path / "2", lambda name: None if "left" in name else f"x/{name}", 3)
    with tarfile.open(made.path) as found:
        assert found.getnames()[-1] == "x/app/0hard", "engines want what a hard link names before it"
    with tarfile.open(made.path) as found:
        assert {one.name: one.linkname for one in found} == {
            "x/app/a": "",
            "x/app/0hard": "x/app/a",
            "x/app/soft": "../b",
        }


@pytest.mark.parametrize("kind", [compression.GZIP, compression.ZSTD])
async def test_a_stream_and_a_whole_tar_make_the_same_layer(tmp_path: Path, kind: str) -> None:
    data = random.Random(1).randbytes(1_000_000) + bytes(range(256)) * 5000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    streamed = await layer.written(tmp_path / "1", pieces(), kind)
    whole = layer.packed(data, tmp_path / "2", kind)
    assert streamed.layer == whole.layer
    assert streamed.layer.compression == kind
    assert streamed.layer.size == (tmp_path / "1").stat().st_size
    if kind == compression.ZSTD:
        assert b"".join([piece async for piece in compression.unpacked(tmp_path / "1")]) == data


def test_a_layer_stays_as_its_base_has_it() -> None:
    types = [oci.LAYER, f"{oci.OCI_LAYER}+gzip", f"{oci.OCI_LAYER}+zstd", oci.OCI_LAYER]
    described = [{"mediaType": name, "digest": f"sha256:{name}", "size": 1} for name in types]
    found = layer.read({"layers": described}, {"rootfs": {"diff_ids": ["a", "b", "c", "d"]}})
    assert [one.compression for one in found] == ["gzip", "gzip", "zstd", ""]
    made = layer.manifest(b"{}", found)
    assert [one["mediaType"] for one in made["layers"]] == [types[1], *types[1:]]
    assert layer.manifest(b"{}", found[:2])["mediaType"] == oci.MANIFEST


def test_the_configuration_adds_to_its_base() -> None:
    base = {
        "architecture": "arm64",
        "config": {
            "Env": ["PATH=/bin", "A=1"],
            "Cmd": ["old"],
            "User": "7",
            "StopSignal": "SIGQUIT",
            "Labels": {"x": "y"},
        },
    }
    how = Config(command=("new",), env={"A": "2"}, folder="/app", labels={"l": "m"})
    found = json.loads(layer.config(how, [Layer("sha256:d", "sha256:t", 3)], clock.moment(0), base))
    assert found["architecture"] == "arm64"
    assert found["config"] == {
        "Cmd": ["new"],
        "Env": ["A=2", "PATH=/bin"],
        "Labels": {"l": "m"},
        "StopSignal": "SIGQUIT",
        "User": "7",
        "WorkingDir": "/app",
    }
    assert found["rootfs"]["diff_ids"] == ["sha256:t"]


def test_a_command_of_the_base_is_kept_where_there_is_no_other() -> None:
    base = {"config": {"Cmd": ["serve"], "Entrypoint": ["/init"]}}
    found = json.loads(layer.config(Config(), [], clock.moment(0), base))
    assert (found["config"]["Cmd"], found["config"]["Entrypoint"]) == (["serve"], ["/init"])


def test_a_hard_link_to_what_is_left_out_becomes_the_file(tmp_path: Path) -> None:
    source = tar(tmp_path / "1", member("left"), member("kept", tarfile.LNKTYPE, linkname="left"), content=b"text")
    made = layer.normalised(source, tmp_path / "2", lambda name: None if name == "left" else name, 0)
    with tarfile.open(made.path) as found:
        content = found.extractfile("kept")
        assert content
        assert (found.getnames(), content.read()) == (["kept"], b"text")
