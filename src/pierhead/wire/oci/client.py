"""One registry: blobs and manifests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import aiohttp
from yarl import URL

from pierhead.kit import errors
from pierhead.wire.oci.access import HINT, Access, Entrance

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
"""Behind a plus the compression: `+gzip`, `+zstd`."""
CHUNK_BYTES = 32 << 20
"""Larger blobs are sent in pieces of that size."""
_PIECE_BYTES = 1 << 20
_CLEAN_UP_SECONDS = 10
_READS = ("GET", "HEAD")
_READ_ONLY = "It is for reading only, most likely while its garbage is collected: try again in a minute."
_BYTES = {"Content-Type": "application/octet-stream"}
_ACCEPT = f"{MANIFEST}, {OCI_MANIFEST}"


class ReadOnly(errors.Unavailable):
    """The registry takes no uploads now."""


@dataclass(frozen=True, slots=True)
class Manifest:
    digest: str
    value: Mapping[str, Any]


class Registry:
    """The registry that `access` leads to, used as an async context manager; an address alone (`127.0.0.1:4401`) is
    without an account.

    Every call raises Unavailable when the registry does not answer, or not as it should, and Denied when it does not
    let us in.
    """

    def __init__(self, access: Access | str, *, timeout: timedelta = timedelta(minutes=5)) -> None:
        self.access = Access(access) if isinstance(access, str) else access
        self.address = self.access.address
        self._base = f"{self.access.url}/v2"
        self._entrance = Entrance(self.access)
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds(), sock_connect=5)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Raises: NotFound, Invalid (what is said of its authority)."""
        context = await asyncio.to_thread(self.access.trust) if self._base.startswith("https") else True
        connector = aiohttp.TCPConnector(ssl=context)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def manifest(self, name: str, reference: str) -> Manifest | None:
        """The image manifest of that tag or digest; None when there is none."""
        status, headers, body = await self._call("GET", name, f"/manifests/{reference}", headers={"Accept": _ACCEPT})
        if status == 404:
            return None
        self._expect(status, body, 200)
        return Manifest(headers.get("Docker-Content-Digest") or digest(body), json.loads(body))

    async def put_manifest(self, name: str, reference: str, value: Mapping[str, Any]) -> str:
        """The registry has the manifest under `reference` too; its digest. All its blobs must be there."""
        data = canonical(value)
        headers = {"Content-Type": str(value["mediaType"])}
        status, _, body = await self._call("PUT", name, f"/manifests/{reference}", data=data, headers=headers)
        self._expect(status, body, 201)
        return digest(data)

    async def has_blob(self, name: str, blob: str) -> bool:
        status, _, body = await self._call("HEAD", name, f"/blobs/{blob}")
        if status != 404:
            self._expect(status, body, 200)
        return status == 200

    async def blob(self, name: str, blob: str) -> bytes:
        """Raises: NotFound."""
        status, _, body = await self._call("GET", name, f"/blobs/{blob}")
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
        if not await self.has_blob(name, blob):
            await self._upload(name, blob, data)
        return blob

    async def put_file(self, name: str, blob: str, path: Path) -> bool:
        """The registry has the blob, whose bytes are in the file. False when it was there already.

        Sent whole; above `CHUNK_BYTES` in chunks, because proxies in front of registries refuse larger requests.
        """
        if await self.has_blob(name, blob):
            return False
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= CHUNK_BYTES:
                await self._upload(name, blob, await asyncio.to_thread(file.read))
            else:
                await self._upload_in_chunks(name, blob, file)
        return True

    async def mount_blob(self, name: str, blob: str, source: str) -> bool:
        """`name` has the blob that `source` has, without sending it. False when the registry will not do that."""
        if await self.has_blob(name, blob):
            return True
        query = {"mount": blob, "from": f"{self.access.folder}{source}"}
        status, headers, body = await self._call("POST", name, "/blobs/uploads/", params=query)
        if status == 202:
            await self._call("DELETE", name, headers["Location"])
            return False
        self._expect(status, body, 201)
        return True

    async def fetch_blob(self, name: str, blob: str, path: Path) -> None:
        """The file holds the blob. Raises: NotFound, Unavailable (what came is not what was asked for)."""
        known = hashlib.sha256()
        async with self._request("GET", name, f"/blobs/{blob}") as response:
            if response.status == 404:
                raise errors.NotFound(f"The registry has no {blob} of {name}.")
            self._expect(response.status, b"", 200)
            with path.open("wb") as file:
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    known.update(piece)
                    await asyncio.to_thread(file.write, piece)
        if f"sha256:{known.hexdigest()}" != blob:
            raise errors.Unavailable(f"The registry at {self.address} sent something else than {blob}.")

    async def tags(self, name: str) -> list[str]:
        """The tags of the repository, in order; none where there is no such repository."""
        status, _, body = await self._call("GET", name, "/tags/list")
        if status == 404:
            return []
        self._expect(status, body, 200)
        return sorted(json.loads(body).get("tags") or ())

    async def repositories(self) -> list[str]:
        """The names of all repositories below our address, in order. Raises: Denied (not everybody is told)."""
        found: list[str] = []
        while True:
            query = {"n": "500", **({"last": found[-1]} if found else {})}
            status, _, body = await self._call("GET", "", "/_catalog", params=query)
            self._expect(status, body, 200)
            more = json.loads(body).get("repositories") or []
            found += more
            if len(more) < 500:
                folder = self.access.folder
                return [name.removeprefix(folder) for name in found if name.startswith(folder)]

    async def delete_manifest(self, name: str, digest_: str) -> None:
        """The image is gone, with all its tags; its blobs until garbage is collected. Idempotent."""
        status, _, body = await self._call("DELETE", name, f"/manifests/{digest_}")
        if status != 404:
            self._expect(status, body, 202)

    async def ping(self) -> None:
        """A registry answers, and lets us in."""
        status, _, body = await self._call("GET", "", "/")
        self._expect(status, body, 200)

    async def _upload(self, name: str, blob: str, data: bytes) -> None:
        async with self._uploading(name) as location:
            await self._finish(name, location, blob, data)

    async def _upload_in_chunks(self, name: str, blob: str, file: BinaryIO) -> None:
        async with self._uploading(name) as begun:
            location, position = begun, 0
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                ranged = {"Content-Range": f"{position}-{position + len(data) - 1}", **_BYTES}
                status, headers, body = await self._call("PATCH", name, location, data=data, headers=ranged)
                self._expect(status, body, 202)
                location, position = headers["Location"], position + len(data)
            await self._finish(name, location, blob, b"")

    @asynccontextmanager
    async def _uploading(self, name: str) -> AsyncIterator[str]:
        """Where an upload goes. The registry is told of one that fails, so that it takes no room there."""
        status, headers, body = await self._call("POST", name, "/blobs/uploads/")
        self._expect(status, body, 202)
        try:
            yield headers["Location"]
        except BaseException:
            with contextlib.suppress(errors.PierError, TimeoutError):
                async with asyncio.timeout(_CLEAN_UP_SECONDS):
                    await self._call("DELETE", name, headers["Location"])
            raise

    async def _finish(self, name: str, location: str, blob: str, data: bytes) -> None:
        status, _, body = await self._call("PUT", name, location, params={"digest": blob}, data=data, headers=_BYTES)
        self._expect(status, body, 201)

    async def _call(self, method: str, name: str, path: str, **options: Any) -> tuple[int, Mapping[str, str], bytes]:
        async with self._request(method, name, path, **options) as response:
            return response.status, response.headers, await response.read()

    @asynccontextmanager
    async def _request(
        self, method: str, name: str, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """`path` is below the repository `name`, or the whole address that the registry named."""
        url = URL(path if "://" in path else f"{self._repository(name)}{path}", encoded=True)
        url = url.update_query(options.pop("params", {}))
        try:
            async with contextlib.AsyncExitStack() as stack:
                response = await stack.enter_async_context(self._sent(method, name, url, **options))
                if response.status == 401 and await self._admitted(method, name, response):
                    response = await stack.enter_async_context(self._sent(method, name, url, **options))
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            text = f"The certificate of the registry at {self.address} is not trusted: {_distrust(error)}."
            raise errors.Unavailable(
                text, hint="The setting registry.ca_file names the authority that it is checked against."
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unavailable(
                f"The registry at {self.address} did not answer: {str(error) or type(error).__name__}",
                hint="`pier status` shows the registry; a full disk is a common reason.",
            ) from error

    def _sent(
        self, method: str, name: str, url: URL, *, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        mine = url.origin() == URL(self._base).origin()
        shown = self._entrance.headers(name, writes=method not in _READS) if mine else {}
        body = None if data is None else io.BytesIO(data)  # sent in pieces
        return self._session.request(method, url, headers={**(headers or {}), **shown}, data=body)

    async def _admitted(self, method: str, name: str, response: aiohttp.ClientResponse) -> bool:
        if self._session is None:
            return False
        challenge = response.headers.get("WWW-Authenticate", "")
        return await self._entrance.admitted(self._session, challenge, name, writes=method not in _READS)

    def _repository(self, name: str) -> str:
        return f"{self._base}/{self.access.folder}{name}" if name else self._base

    def _expect(self, status: int, body: bytes, wanted: int) -> None:
        """Raises: Denied, Invalid (it refuses what it was given), Unavailable."""
        if status != wanted:
            raise refusal(self.address, status, body)


def refusal(address: str, status: int, body: bytes) -> errors.PierError:
    """What a registry answered instead of what was asked for. Source: OCI Distribution Specification, Error Codes."""
    text = f"The registry at {address} answered {status}: {_reason(body)}"
    if status in (401, 403):
        return errors.Denied(text, hint=HINT)
    if status == 405:
        return ReadOnly(f"The registry at {address} takes no uploads now ({status}).", hint=_READ_ONLY)
    if 400 <= status < 500 and status not in (404, 408, 416, 429):
        return errors.Invalid(text)
    return errors.Unavailable(text, hint="`pier status` shows the registry; a full disk is a common reason.")


def _reason(body: bytes) -> str:
    """The first error of the answer, or how the answer begins."""
    try:
        error = json.loads(body)["errors"][0]
        detail = _detail(error["detail"]) if error.get("detail") else ""
        return f"{error.get('code', '')} {error.get('message', '')} {detail}".strip()[:300]
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace").strip()[:300] or "no reason given"


def _detail(value: Any) -> str:
    """In words: the distribution's registry gives the system's errors by number."""
    inner = value.get("Enclosed") if isinstance(value, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("Err"), int):
        return f"{inner.get('Op', '')} {inner.get('Path', '')}: {os.strerror(inner['Err']).lower()}"
    return json.dumps(value)


def _distrust(error: aiohttp.ClientConnectorCertificateError) -> str:
    reason = error.certificate_error
    return str(getattr(reason, "verify_message", "") or reason).removesuffix(".")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one way in which a document is written, so that equal ones have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
