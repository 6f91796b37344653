"""One registry: blobs and manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from pierhead.kit import errors

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_ACCEPT = f"{MANIFEST}, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Manifest:
    digest: str
    value: Mapping[str, Any]


class Registry:
    """The registry at `address` (`127.0.0.1:4401`), used as an async context manager. Loopback is spoken to in plain
    HTTP, everything else in HTTPS.

    Every call raises Unavailable when the registry does not answer, or not as it should.
    """

    def __init__(self, address: str, *, timeout: timedelta = timedelta(minutes=5)) -> None:
        self.address = address
        self._base = f"{'http' if _is_loopback(address) else 'https'}://{address}/v2"
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds(), sock_connect=5)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def manifest(self, name: str, reference: str) -> Manifest | None:
        """The image manifest of that tag or digest; None when there is none."""
        status, headers, body = await self._call("GET", f"/{name}/manifests/{reference}", headers={"Accept": _ACCEPT})
        if status == 404:
            return None
        self._expect(status, body, 200)
        return Manifest(headers.get("Docker-Content-Digest") or digest(body), json.loads(body))

    async def put_manifest(self, name: str, reference: str, value: Mapping[str, Any]) -> str:
        """The registry has the manifest under `reference` too; its digest. All its blobs must be there."""
        data = canonical(value)
        headers = {"Content-Type": str(value["mediaType"])}
        status, _, body = await self._call("PUT", f"/{name}/manifests/{reference}", data=data, headers=headers)
        self._expect(status, body, 201)
        return digest(data)

    async def has_blob(self, name: str, blob: str) -> bool:
        status, _, body = await self._call("HEAD", f"/{name}/blobs/{blob}")
        if status != 404:
            self._expect(status, body, 200)
        return status == 200

    async def blob(self, name: str, blob: str) -> bytes:
        """Raises: NotFound."""
        status, _, body = await self._call("GET", f"/{name}/blobs/{blob}")
        if status == 404:
            raise errors.NotFound(f"The registry has no {blob} of {name}.")
        self._expect(status, body, 200)
        return body

    async def json_blob(self, name: str, blob: str) -> dict[str, Any]:
        """A blob that is a JSON object. Raises: NotFound."""
        value: dict[str, Any] = json.loads(await self.blob(name, blob))
        return value

    async def put_blob(self, name: str, data: bytes) -> str:
        """The registry has `data`; its digest. Nothing is sent when it is there already."""
        blob = digest(data)
        if await self.has_blob(name, blob):
            return blob
        status, headers, body = await self._call("POST", f"/{name}/blobs/uploads/")
        self._expect(status, body, 202)
        await self._finish(headers["Location"], blob, data)
        return blob

    async def mount_blob(self, name: str, blob: str, source: str) -> bool:
        """`name` has the blob that `source` has, without sending it. False when `source` has none such."""
        if await self.has_blob(name, blob):
            return True
        query = {"mount": blob, "from": source}
        status, headers, body = await self._call("POST", f"/{name}/blobs/uploads/", params=query)
        if status == 202:
            await self._call("DELETE", headers["Location"])
            return False
        self._expect(status, body, 201)
        return True

    async def _finish(self, location: str, blob: str, data: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        status, _, body = await self._call("PUT", location, params={"digest": blob}, data=data, headers=headers)
        self._expect(status, body, 201)

    async def _call(self, method: str, path: str, **options: Any) -> tuple[int, Mapping[str, str], bytes]:
        """`path` is below `/v2`, or the whole address that the registry named."""
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        url = URL(path if "://" in path else self._base + path)
        url = url.update_query(options.pop("params", {}))
        try:
            async with self._session.request(method, url, **options) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unavailable(
                f"The registry at {self.address} did not answer: {str(error) or type(error).__name__}",
                hint="`pier status` shows the registry; a full disk is a common reason.",
            ) from error

    def _expect(self, status: int, body: bytes, wanted: int) -> None:
        if status != wanted:
            text = body.decode(errors="replace")[:300]
            raise errors.Unavailable(f"The registry at {self.address} answered {status}, not {wanted}: {text}")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one way in which a document is written, so that equal ones have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "localhost:", "[::1]"))
