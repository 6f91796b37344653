"""Debian as the layer of a base image, made by mmdebstrap with the sources of this machine, which do not stay in it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pierhead.build import apt, layer
from pierhead.build.kitchen import Log
from pierhead.build.layer import Packed
from pierhead.kit import errors

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*")
_LINKED_INTO = "/usr/share/man/man1"
"""Packages with alternatives, as those of Java, cannot be set up without it, although their pages are left out."""
_CLEANED = (
    *("etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/auth.conf.d/*", "etc/apt/sources.list.d/*", "etc/hostname"),
    *("etc/resolv.conf", "var/cache/debconf/*-old", "var/cache/ldconfig/aux-cache", "var/lib/dpkg/*-old"),
    *("var/log/*.log", "var/log/apt/*", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
)
_SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: {suite} {suite}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: {suite}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
"""What is left in the image: the public archive, whatever mirror this machine has."""


async def made(folder: Path, packages: Sequence[str], suite: str, log: Log) -> Packed:
    """A minimal Debian with these packages, as a layer in `folder`. Raises: Failed."""
    raw = folder / "root.tar"
    await archive(folder, raw, packages, suite, log, variant="minbase")
    return await asyncio.to_thread(layer.copied, raw, folder / "layer.tar.gz")


async def archive(folder: Path, target: Path, packages: Sequence[str], suite: str, log: Log, *, variant: str) -> None:
    """`target` is the tar that mmdebstrap makes of them. Raises: Failed."""
    if os.geteuid() or not shutil.which("mmdebstrap"):
        raise errors.Failed(
            "Base images are made by mmdebstrap, as root.",
            hint="`apt-get install mmdebstrap`, or name a base image of a registry: `build: {base: …}` in pier.yaml.",
        )
    sources, plain, options = folder / "machine.sources", folder / "debian.sources", folder / "apt.conf"
    for file, text in (
        (sources, await asyncio.to_thread(apt.of_suite, suite)),
        (plain, _SOURCES.format(suite=suite)),
        (options, await _options()),
    ):
        await asyncio.to_thread(file.write_text, text)
    command = ["mmdebstrap", "--mode=root", f"--variant={variant}", f"--aptopt={options}"]
    command += [f"--include={','.join(packages)}"] if packages else []
    command += ["--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT)]
    if variant == "minbase":
        command += [f'--essential-hook=mkdir -p "$1{_LINKED_INTO}"']
        command += [f'--customize-hook=cd "$1" && rm -rf {" ".join(_CLEANED)}']
        command += [f"--customize-hook=upload {plain} /etc/apt/sources.list.d/debian.sources"]
        command += ['--customize-hook=: > "$1/etc/apt/sources.list"; : > "$1/etc/machine-id"']
    await _run([*command, suite, str(target), str(sources)], log)


async def _options() -> str:
    """This machine's proxies, certificates and accounts for archives, as apt's configuration."""
    process = await asyncio.create_subprocess_exec("apt-config", "dump", "Acquire", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return apt.transport(output.decode(errors="replace"))


async def _run(command: Sequence[str], log: Log) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(int(today.timestamp())), "LC_ALL": "C.UTF-8"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    assert process.stdout  # noqa: S101 - it was asked for
    try:
        async for line in process.stdout:
            lines.append(line.decode(errors="replace").rstrip())
            if lines[-1].startswith("I: ") and lines[-1].endswith("..."):
                await log("base", lines[-1].removeprefix("I: "))
        code = await process.wait()
    except asyncio.CancelledError:
        process.terminate()  # it unmounts what it has mounted
        await process.wait()
        raise
    if code:
        last = "\n".join(f"  {line}" for line in lines[-15:])
        raise errors.Failed(
            f"The base image could not be made:\n{last}",
            hint="`apt-get update` shows whether this machine has packages.",
        )
