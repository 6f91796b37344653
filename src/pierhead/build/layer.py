"""Layers: tars that are the same wherever and whenever they are made, and the images put together from them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pierhead.build import compression
from pierhead.build.compression import GZIP
from pierhead.kit import clock
from pierhead.wire.oci import client as oci

_PIECE_BYTES = 1 << 20
_INHERITED = ("User", "Entrypoint", "StopSignal", "Volumes")
"""What of a base's configuration holds in an image on it, beside its variables and its command."""


@dataclass(frozen=True, slots=True)
class Layer:
    digest: str
    """Of the compressed tar, as the registry knows it."""
    diff_id: str
    """Of the tar itself, as the image's configuration names it."""
    size: int
    compression: str = GZIP
    """Empty: none."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer, and the file that holds it."""

    layer: Layer
    path: Path


@dataclass(frozen=True, slots=True)
class Config:
    """How a container of the image starts."""

    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    """Empty: the base's."""
    folder: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)


class Writer:
    """A compressed tar on its way into a file. Equal tars give equal files."""

    def __init__(self, path: Path, kind: str = GZIP) -> None:
        self._path, self._kind = path, kind
        self._file = path.open("wb")
        self._compressor = compression.compressor(kind)
        self._plain, self._packed, self._size = hashlib.sha256(), hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """Further bytes of the tar. Blocks: for a thread."""
        self._plain.update(data)
        self._add(self._compressor.compress(data))

    def close(self) -> Packed:
        """The file is whole."""
        self._add(self._compressor.flush())
        self._file.close()
        packed_, plain = (f"sha256:{one.hexdigest()}" for one in (self._packed, self._plain))
        return Packed(Layer(packed_, plain, self._size, self._kind), self._path)

    def _add(self, data: bytes) -> None:
        self._packed.update(data)
        self._size += len(data)
        self._file.write(data)


async def written(path: Path, pieces: AsyncIterator[bytes], kind: str = GZIP) -> Packed:
    """The layer of the tar that `pieces` are, compressed in `path`. Compresses while the next piece is made."""
    loop, writer = asyncio.get_running_loop(), Writer(path, kind)
    busy: asyncio.Future[None] | None = None
    try:
        async for piece in pieces:
            if busy:
                await busy
            busy = loop.run_in_executor(None, writer.write, piece)
    finally:
        if busy:
            await busy
    return await asyncio.to_thread(writer.close)


def packed(tar: bytes, path: Path, kind: str = GZIP) -> Packed:
    """The layer of a tar that is in memory, compressed in `path`. Blocks."""
    writer = Writer(path, kind)
    writer.write(tar)
    return writer.close()


def copied(source: Path, target: Path) -> Packed:
    """The layer of the tar `source`, as it is, compressed in `target`. Blocks."""
    writer = Writer(target)
    with source.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            writer.write(piece)
    return writer.close()


def normalised(
    source: Path, target: Path, rename: Callable[[str], str | None], seconds: int, kind: str = GZIP
) -> Packed:
    """The layer of the tar `source`: the members that `rename` has a name for, sorted, of root, all of one time.

    `source` may be compressed. Blocks.
    """
    writer = Writer(target, kind)
    with tarfile.open(source, errors="surrogateescape") as tar:
        found = [(name, member) for member in tar if (name := rename(member.name))]
        for name, member in sorted(found, key=lambda pair: (pair[1].islnk(), pair[0])):  # a link after what it names
            plain = tarfile.TarInfo(name)
            plain.mode, plain.mtime = member.mode, seconds
            link = rename(member.linkname) if member.islnk() else member.linkname
            if member.isreg() or link is None:
                _file(tar, member, plain, writer)
            else:
                plain.type, plain.linkname = member.type, link
                writer.write(header(plain))
    writer.write(END)
    return writer.close()


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo, plain: tarfile.TarInfo, writer: Writer) -> None:
    """A file, or a hard link to one that is left out: that becomes the file itself."""
    content = tar.extractfile(member)
    assert content  # noqa: S101 - it is a file
    plain.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    writer.write(header(plain))
    _copy(content, writer, plain.size)


def _copy(content: IO[bytes], writer: Writer, size: int) -> None:
    while piece := content.read(_PIECE_BYTES):
        writer.write(piece)
    writer.write(padding(size))


def header(member: tarfile.TarInfo) -> bytes:
    """The member's place in a tar, before its content. Names may be any bytes (surrogate escapes)."""
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What follows a member's content of `size` bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


END = bytes(2 * tarfile.BLOCKSIZE)
"""What ends a tar."""


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
                **{key: value for key, value in before.items() if key in _INHERITED},
                "Cmd": list(how.command) or before.get("Cmd"),
                "Env": [f"{key}={value}" for key, value in sorted(env.items())],
                "WorkingDir": how.folder,
                "Labels": dict(how.labels),
                **({"StopSignal": how.stop_signal} if how.stop_signal else {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": clock.text(created), "created_by": "pier"} for _ in layers],
        }
    )


def manifest(config_: bytes, layers: Sequence[Layer]) -> dict[str, Any]:
    """The manifest that joins them: Docker's own, which says gzip and nothing else, or that of OCI."""
    is_plain = all(layer.compression == GZIP for layer in layers)
    kinds = (oci.MANIFEST, oci.CONFIG) if is_plain else (oci.OCI_MANIFEST, oci.OCI_CONFIG)
    return {
        "schemaVersion": 2,
        "mediaType": kinds[0],
        "config": {"mediaType": kinds[1], "digest": oci.digest(config_), "size": len(config_)},
        "layers": [
            {"mediaType": oci.LAYER if is_plain else _type(layer), "digest": layer.digest, "size": layer.size}
            for layer in layers
        ],
    }


def _type(layer: Layer) -> str:
    return f"{oci.OCI_LAYER}+{layer.compression}" if layer.compression else oci.OCI_LAYER


def read(manifest_: Mapping[str, Any], config_: Mapping[str, Any]) -> list[Layer]:
    """The layers of an image that is in a registry."""
    diff_ids = config_["rootfs"]["diff_ids"]
    return [
        Layer(layer["digest"], diff_id, layer["size"], compression.of_media_type(layer["mediaType"]))
        for layer, diff_id in zip(manifest_["layers"], diff_ids, strict=True)
    ]
