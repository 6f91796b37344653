"""How layers are compressed: one way for all images of a cluster, so that the same commit stays the same image.

gzip is what every engine reads. zstd is unpacked in a fraction of the time, by engines from 23 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Protocol

import zstandard

from pierhead.kit import errors

GZIP, ZSTD = "gzip", "zstd"
_READS_ZSTD = 23
"""The first engine that does, by its major version. Source: Docker Engine 23.0 release notes."""
_LEVELS: Mapping[str, int] = {GZIP: 1, ZSTD: 3}
_GZIP_HEADER = 31
"""zlib's word for a gzip header: without a name and without a time."""
_PIECE_BYTES = 1 << 20


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def compressor(kind: str) -> Compressor:
    """Equal bytes become equal bytes, however they come in pieces."""
    return _MAKERS[kind]()


_MAKERS: Mapping[str, Callable[[], Compressor]] = {
    GZIP: lambda: zlib.compressobj(_LEVELS[GZIP], zlib.DEFLATED, _GZIP_HEADER),
    ZSTD: lambda: zstandard.ZstdCompressor(level=_LEVELS[ZSTD]).compressobj(),
}


async def unpacked(path: Path) -> AsyncIterator[bytes]:
    """The tar that is compressed with zstd in the file, piece by piece."""
    with contextlib.closing(zstandard.open(path, "rb")) as reader:
        while piece := await asyncio.to_thread(reader.read, _PIECE_BYTES):
            yield piece


def of_media_type(name: str) -> str:
    """How a layer of that type is compressed; empty: it is not. Source: OCI Image Specification, Image Layer."""
    return GZIP if name.endswith("gzip") else ZSTD if name.endswith("zstd") else ""


def require(kind: str, engines: Mapping[str, str]) -> None:
    """Every engine reads layers of that kind. `engines`: node → version. Raises: Conflict."""
    old = [f"{node} has {version or 'an unknown one'}" for node, version in engines.items() if not _reads(version)]
    if kind == ZSTD and old:
        raise errors.Conflict(
            f"Engines before {_READS_ZSTD} read no images with build.compression = zstd: {', '.join(sorted(old))}.",
            hint="Update these nodes' engines, or set build.compression to gzip, which all engines read.",
        )


def _reads(version: str) -> bool:
    major = version.partition(".")[0]
    return major.isdecimal() and int(major) >= _READS_ZSTD
