"""Base images, made on the spot from the distribution's packages: a private cloud often reaches no public registry."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.build import layer, sources
from pierhead.build.layer import Config, Layer
from pierhead.kit import clock, errors
from pierhead.wire.oci.client import Registry

Log = Callable[[str, str], Awaitable[None]]
"""`await log(step, text)`: a line of the build's log."""

NAMES: Mapping[str, Sequence[str]] = {
    "debian": ("ca-certificates", "tzdata"),
    "python": ("ca-certificates", "tzdata", "python3", "python3-venv"),
    "node": ("ca-certificates", "tzdata", "nodejs"),
    "node-build": ("ca-certificates", "nodejs", "npm", "git", "python3", "make", "g++"),
    "static": (),
}
"""What each has beside Debian's own minimum; `static` is nothing but busybox."""

SUITE = "bookworm"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUSYBOX = Path("/bin/busybox")
_CREATED = clock.moment(0)
_LEAN = ("path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/locale/*")
_PLAIN_SOURCES = "deb http://deb.debian.org/debian {suite} main"


@dataclass(frozen=True, slots=True)
class Base:
    reference: str
    """`host:port/base/python@sha256:…`"""
    name: str
    """The repository in the registry: `base/python`."""
    layers: Sequence[Layer]
    config: Mapping[str, Any]
    digest: str


async def ensure(name: str, registry: Registry, log: Log) -> Base:
    """The base of that name, made now when the registry has none. Raises: NotFound, Failed, Unavailable."""
    found = await find(registry, f"base/{name}", SUITE)
    if found:
        return found
    began = time.monotonic()
    await log("base", f"{name}: made once from Debian's packages")
    made = await build(name, registry, log)
    await log("base", f"{name}: made in {time.monotonic() - began:.0f} s")
    return made


async def build(name: str, registry: Registry, log: Log, *, include: Sequence[str] = (), suite: str = SUITE) -> Base:
    """The registry has `base/<name>:<suite>`, made anew from packages. Needs root.

    Raises: Invalid (neither a known name nor packages), Failed (the packages cannot be had).
    """
    if name not in NAMES and not include:
        raise errors.Invalid(
            f"There is no base image {name!r}: {', '.join(sorted(NAMES))}.",
            hint="Name the packages of one of your own: `pier base build NAME --include PACKAGE`.",
        )
    tar = _busybox() if name == "static" else await _debian([*NAMES.get(name, NAMES["debian"]), *include], suite, log)
    made, data = await asyncio.to_thread(layer.pack, tar)
    command = ["/bin/sh"]
    config = layer.config(Config(command=command, env={"PATH": _PATH}), [made], _CREATED)
    repository = f"base/{name}"
    await registry.put_blob(repository, data)
    await registry.put_blob(repository, config)
    await registry.put_manifest(repository, suite, layer.manifest(config, [made]))
    found = await find(registry, repository, suite)
    if found is None:
        raise errors.Broken(f"The registry does not have the {repository} that it was just given.")
    return found


async def find(registry: Registry, repository: str, tag: str) -> Base | None:
    """The image of that name in the registry; None when it has none."""
    manifest = await registry.manifest(repository, tag)
    if manifest is None:
        return None
    config = await registry.json_blob(repository, manifest.value["config"]["digest"])
    reference = f"{registry.address}/{repository}@{manifest.digest}"
    return Base(reference, repository, layer.read(manifest.value, config), config, manifest.digest)


async def _debian(packages: Sequence[str], suite: str, log: Log) -> bytes:
    """A minimal Debian with these packages, as a tar. The sources of this machine are used, and not left in it."""
    if os.geteuid() or not shutil.which("mmdebstrap"):
        raise errors.Failed(
            "Base images are made by mmdebstrap, as root.",
            hint="`apt-get install mmdebstrap`, or name a base image of a registry: `build: {base: …}` in pier.yaml.",
        )
    with tempfile.TemporaryDirectory(prefix="pier-base-") as work:
        listed, target = Path(work) / "debian.sources", Path(work) / "root.tar"
        await asyncio.to_thread(listed.write_text, sources.of_suite(suite))
        await _run(_command(packages, suite, listed, target), log)
        return await asyncio.to_thread(target.read_bytes)


def _command(packages: Sequence[str], suite: str, listed: Path, target: Path) -> list[str]:
    plain = _PLAIN_SOURCES.format(suite=suite)
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        *([f"--include={','.join(packages)}"] if packages else []),
        *(f"--dpkgopt={option}" for option in _LEAN),
        "--customize-hook=rm -rf $1/etc/apt/sources.list.d/* $1/var/cache/debconf/*-old $1/var/log/*.log",
        f"--customize-hook=echo '{plain}' > $1/etc/apt/sources.list",
        "--customize-hook=rm -f $1/etc/hostname $1/etc/resolv.conf $1/etc/machine-id",
        suite,
        str(target),
        str(listed),
    ]


async def _run(command: Sequence[str], log: Log) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    try:
        assert process.stdout  # noqa: S101 - it was asked for
        async for line in process.stdout:
            lines.append(line.decode(errors="replace").rstrip())
            if lines[-1].startswith("I: "):
                await log("base", lines[-1].removeprefix("I: "))
        code = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if code:
        last = "\n".join(lines[-15:])
        raise errors.Failed(
            f"The base image could not be made:\n{last}",
            hint="`apt-get update` shows whether this machine has packages.",
        )


def _busybox() -> bytes:
    """Busybox and a name for each of its commands: a shell, a web server, and little else."""
    if not _BUSYBOX.exists():
        raise errors.Failed("There is no /bin/busybox.", hint="`apt-get install busybox-static`.")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            _add(tar, folder, tarfile.DIRTYPE, mode)
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, _BUSYBOX.read_bytes())
        for name in (
            "sh",
            "httpd",
            "cat",
            "ls",
            "echo",
            "sleep",
            "env",
            "id",
            "ps",
            "kill",
            "wget",
            "vi",
            "stty",
            "grep",
        ):
            _add(tar, f"bin/{name}", tarfile.SYMTYPE, 0o777, link="busybox")
        for name, text in _FILES.items():
            _add(tar, name, tarfile.REGTYPE, 0o644, text.encode())
    return target.getvalue()


_FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/httpd.conf": "".join(
        f".{suffix}:{kind}\n"
        for suffix, kind in {
            "mjs": "text/javascript",
            "json": "application/json",
            "wasm": "application/wasm",
            "webp": "image/webp",
            "avif": "image/avif",
            "woff2": "font/woff2",
            "webmanifest": "application/manifest+json",
        }.items()
    ),
}


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, data: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(data), link
    tar.addfile(member, io.BytesIO(data) if data else None)
