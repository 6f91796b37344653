"""What Pierhead needs of a registry, held by a real one."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.kit import errors
from pierhead.testing import registry
from pierhead.wire.oci import client
from pierhead.wire.oci.client import Registry


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry.serving(tmp_path) as address, Registry(address) as connected:
        yield connected


def manifest(config: bytes, *layers: bytes) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": client.MANIFEST,
        "config": {"mediaType": client.CONFIG, "digest": client.digest(config), "size": len(config)},
        "layers": [{"mediaType": client.LAYER, "digest": client.digest(one), "size": len(one)} for one in layers],
    }


async def test_an_image_is_pushed_and_found_by_tag_and_by_digest(served: Registry) -> None:
    await served.ping()
    for blob in (b"{}", b"layer"):
        await served.put_blob("team/app", blob)
    digest = await served.put_manifest("team/app", "v1", manifest(b"{}", b"layer"))
    for reference in ("v1", digest):
        found = await served.manifest("team/app", reference)
        assert found
        assert found.digest == digest
        assert await served.json_blob("team/app", found.value["config"]["digest"]) == {}
    assert await served.tags("team/app") == ["v1"]
    assert await served.tags("nobody") == []
    assert await served.manifest("team/app", "v2") is None
    assert await served.manifest("nobody", "v1") is None


async def test_a_file_is_sent_once(served: Registry, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    blob = client.digest(b"content")
    assert await served.put_file("app", blob, tmp_path / "file")
    assert not await served.put_file("app", blob, tmp_path / "file")
    await served.fetch_blob("app", blob, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"


async def test_a_large_file_is_sent_in_chunks(served: Registry, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * ((client.CHUNK_BYTES >> 20) * 2 + 1)
    (tmp_path / "file").write_bytes(data)
    assert await served.put_file("app", client.digest(data), tmp_path / "file")
    assert await served.blob("app", client.digest(data)) == data


async def test_a_blob_is_mounted_without_being_sent(served: Registry) -> None:
    blob = await served.put_blob("base", b"shared")
    assert await served.mount_blob("app", blob, "base")
    assert await served.mount_blob("app", blob, "base")
    assert await served.blob("app", blob) == b"shared"
    assert not await served.mount_blob("app", client.digest(b"unknown"), "base")


async def test_a_manifest_without_its_blobs_and_wrong_content_are_refused(served: Registry, tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="unknown"):
        await served.put_manifest("app", "v1", manifest(b"{}", b"missing"))
    (tmp_path / "file").write_bytes(b"something else")
    with pytest.raises(errors.Invalid, match="DIGEST_INVALID"):
        await served.put_file("app", client.digest(b"content"), tmp_path / "file")
    with pytest.raises(errors.NotFound):
        await served.blob("app", client.digest(b"content"))
    assert await served.manifest("app", "v1") is None


async def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        async with Registry(f"127.0.0.1:{held.getsockname()[1]}") as nowhere:
            with pytest.raises(errors.Unavailable, match="did not answer"):
                await nowhere.ping()
