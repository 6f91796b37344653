"""Layers: tars that are the same wherever and whenever they are made, and the images put together from them. Pure."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pierhead.kit import clock
from pierhead.wire.oci import client as oci

_EPOCH = 0


@dataclass(frozen=True, slots=True)
class Layer:
    digest: str
    """Of the compressed tar, as the registry knows it."""
    diff_id: str
    """Of the tar itself, as the image's configuration names it."""
    size: int


@dataclass(frozen=True, slots=True)
class Config:
    """How a container of the image starts."""

    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)


def pack(tar: bytes) -> tuple[Layer, bytes]:
    """The layer of a tar, and the compressed tar. Equal tars give equal bytes."""
    data = gzip.compress(tar, compresslevel=1, mtime=0)
    return Layer(oci.digest(data), oci.digest(tar), len(data)), data


def normalise(tar: bytes, rename: Callable[[str], str | None]) -> bytes:
    """The members that `rename` has a name for, in order, of root, without times."""
    target = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as source,
        tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as made,
    ):
        found = ((name, member) for member in source if (name := rename(member.name)))
        for name, member in sorted(found, key=lambda pair: pair[0]):
            plain = tarfile.TarInfo(name)
            plain.type, plain.mode, plain.size, plain.mtime = member.type, member.mode, member.size, _EPOCH
            plain.linkname = (rename(member.linkname) or "") if member.islnk() else member.linkname
            made.addfile(plain, source.extractfile(member) if member.isreg() else None)
    return target.getvalue()


def config(how: Config, layers: Sequence[Layer], created: datetime, base: Mapping[str, Any] | None = None) -> bytes:
    """The image's configuration, on top of that of its base."""
    before = (base or {}).get("config") or {}
    env = {**dict(pair.split("=", 1) for pair in before.get("Env") or []), **how.env}
    return oci.canonical(
        {
            "architecture": (base or {}).get("architecture", "amd64"),
            "os": "linux",
            "created": clock.text(created),
            "config": {
                **{key: value for key, value in before.items() if key in ("User", "Entrypoint", "StopSignal")},
                "Cmd": list(how.command) or before.get("Cmd"),
                "Env": [f"{key}={value}" for key, value in sorted(env.items())],
                "WorkingDir": how.folder,
                "Labels": dict(how.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": clock.text(created), "created_by": "pier"} for _ in layers],
        }
    )


def manifest(config_: bytes, layers: Sequence[Layer]) -> dict[str, Any]:
    """The manifest that joins them."""
    return {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "config": {"mediaType": oci.CONFIG, "digest": oci.digest(config_), "size": len(config_)},
        "layers": [{"mediaType": oci.LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
    }


def read(manifest_: Mapping[str, Any], config_: Mapping[str, Any]) -> list[Layer]:
    """The layers of an image that is in a registry."""
    diff_ids = config_["rootfs"]["diff_ids"]
    return [
        Layer(layer["digest"], diff_id, layer["size"])
        for layer, diff_id in zip(manifest_["layers"], diff_ids, strict=True)
    ]
