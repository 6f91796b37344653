"""Certificates and pages are gathered again whenever a file or a document of them changed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.gateway import pages, tls
from pierhead.gateway.known import Known
from pierhead.gateway.material import Material
from pierhead.gateway.options import Options
from pierhead.kit import clock, errors, files
from pierhead.kit.backoff import Backoff
from pierhead.kit.tasks import Signal
from pierhead.model import certificate
from pierhead.wire.consul import kv
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

LOOK = timedelta(seconds=1)
"""How often the folders are looked at, and a catalog whose certificates are all gone at once."""
WAIT = timedelta(minutes=5)


class Stock:
    """What there is: the catalog's documents as they were last, also after a restart, and the folders."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._documents = _kept(options.certificates_kept)
        self._changed = Signal()

    async def put(self, known: Known) -> None:
        """What is known holds the material of now."""
        known.put_material(await asyncio.to_thread(material, self._options, self._documents))

    async def keep(self, known: Known) -> None:
        """What is known holds the material of each moment, until cancelled."""
        before: Any = None
        while True:
            mark = await asyncio.to_thread(_mark, self._options), id(self._documents)
            if mark != before:
                await self.put(known)
            before = mark
            await self._changed.wait(LOOK)

    async def watch(self, client: Consul, known: Known) -> None:
        """The documents are those of the catalog, until cancelled. Without an answer they stay what they were."""
        index, backoff = 0, Backoff(limit=timedelta(seconds=5))
        while self._options.https_port:
            try:
                pairs, following = await kv.get_tree(client, certificate.PREFIX, index=index, wait=WAIT)
            except errors.PierError as error:
                log.debug("The catalog did not tell the certificates.", extra={"reason": error.message})
                index = 0
                await asyncio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            found = {pair.key.removeprefix(certificate.PREFIX): pair.value.decode(errors="replace") for pair in pairs}
            if self._documents and not found and known.in_doubt:
                index = 0
                await asyncio.sleep(LOOK.total_seconds())
                continue
            index = following
            await self._take(found)

    async def _take(self, documents: Mapping[str, str]) -> None:
        if documents != self._documents:
            await asyncio.to_thread(files.replace, self._options.certificates_kept, json.dumps(documents))
            self._documents = dict(documents)
            self._changed.set()


def material(options: Options, documents: Mapping[str, str]) -> Material:
    """Everything that can be used, and what is wrong with the rest. A file comes before a document of its name."""
    problems: dict[str, str] = {}
    shown = pages.from_folder(options.pages, problems)
    if not options.https_port:
        return Material(pages=shown, problems=problems)
    found = tls.from_catalog(documents, options.certificate_key, problems)
    if options.certificates:
        found |= tls.from_folder(options.certificates, problems)
    default = options.default_certificate
    if default not in found:
        if default:
            problems.setdefault(f"certificate {default}", "it is to be the default, and there is none of that name")
        default = tls.SELF_MADE
    found[tls.SELF_MADE] = tls.self_made(options.data / "self-made.pem")
    problems |= tls.faults(found, clock.now())
    return Material(has_tls=True, certificates=tls.ordered(found, default), pages=shown, problems=problems)


def _kept(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        log.warning("The last known certificates cannot be read.", extra={"path": str(path)})
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def _mark(options: Options) -> tuple[Any, ...]:
    """Another one whenever a file changed, and every hour, because certificates end."""
    key = [options.certificate_key] if options.certificate_key else []
    told = [_stat(path) for path in [*_files(options.certificates), *_files(options.pages), *key]]
    return (*told, clock.now().replace(minute=0, second=0, microsecond=0))


def _files(folder: Path | None) -> Iterator[Path]:
    if folder and folder.is_dir():
        yield from sorted(folder.iterdir())


def _stat(path: Path) -> tuple[str, int, int, int]:
    try:
        held = path.stat()
    except OSError:
        return (str(path), 0, 0, 0)
    return (str(path), held.st_mtime_ns, held.st_size, held.st_ino)
