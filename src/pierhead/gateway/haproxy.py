"""The HAProxy process of this gateway: started, found again, reloaded and stopped; it outlives its controller."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import signal
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pierhead.gateway.frame import CONFIG, Frame
from pierhead.gateway.options import Options
from pierhead.kit import clock, errors, files, process, tasks
from pierhead.kit.process import Process
from pierhead.wire.haproxy import check, cli, master, records, worker

log = logging.getLogger(__name__)

NAME = "haproxy"
IDLE = timedelta(seconds=30)
"""Without any work a HAProxy that starts hangs. How long it works depends on the estate and on the machine."""
ANSWERS = timedelta(seconds=60)
"""A master that answers for so long without a new worker has lost the reload."""
LOOK_SECONDS = 0.01
ASK_AGAIN = timedelta(seconds=1)
FILES_A_CONNECTION = 2
SPARE_FILES = 200


def frame(options: Options) -> Frame:
    """What does not come from the catalog. Raises: Invalid (the data folder's path is too long for a socket)."""
    found = Frame(
        host=options.host,
        http_port=options.http_port,
        folder=options.folder.absolute(),
        run=options.run.absolute(),
        connections=_connections(options.connection_limit),
        drain_seconds=int(options.drain_limit.total_seconds()),
        https_port=options.https_port,
        trusted=options.trusted,
        proxies=options.proxies,
        has_access_log=bool(options.access_log or options.access_syslog),
    )
    if len(str(found.metrics).encode()) > cli.PATH_BYTES:
        raise errors.Invalid(
            f"The path of the data folder is too long for a socket: {options.data}", hint="Choose a shorter one."
        )
    return found


def find(frame: Frame) -> Process | None:
    """The HAProxy that an earlier controller left running here."""
    return process.adopt(NAME, frame.run)


async def start(options: Options, frame: Frame, texts: Mapping[str, str]) -> Process:
    """HAProxy serves what `texts` say, in a session of its own.

    It reads the file once: nothing is lost by a file that it refuses, and only then it is asked why.
    Raises: Invalid (it refuses the file), NotFound (not installed), Unavailable (it ended at once, or hangs).
    """
    config = frame.folder / CONFIG
    await asyncio.to_thread(_write, frame.folder, config, texts)
    for path in (frame.worker, frame.master, frame.metrics):
        path.unlink(missing_ok=True)
    argv = [options.haproxy, "-W", "-S", f"{frame.master},mode,600", "-f", str(config)]
    begin = files.size(options.log)
    started = process.start(NAME, argv, run=frame.run, log=options.log)
    if not await tasks.unless(process.idle(started.pid, IDLE), _until_up(frame, started)):
        await process.stop(started)
        raise errors.Unavailable("HAProxy was started and does not answer", hint=f"See {options.log}.")
    if not process.is_alive(started):
        await check.check(options.haproxy, config)
        raise _ended(options.log, begin)
    _forget_certificates(frame.folder, texts)
    return started


async def reload(options: Options, frame: Frame, texts: Mapping[str, str]) -> None:
    """A new worker serves what `texts` say; the old one only finishes what it has.

    Raises: Invalid (it refuses the file; the old worker goes on), Unavailable.
    """
    await write(options, frame, texts)
    begin = files.size(options.log)
    before = await master.processes(frame.master)
    await master.reload(frame.master)
    if not await tasks.unless(process.idle(before.master, IDLE), _until_replaced(frame, before)):
        raise errors.Unavailable(f"The reload did not come about: {_said(options.log, begin)}")


async def write(options: Options, frame: Frame, texts: Mapping[str, str]) -> None:
    """The files are in place, and HAProxy accepts them. Raises: Invalid; the file in place is the old one then."""
    draft = frame.folder / f"{CONFIG}.new"
    await asyncio.to_thread(_write, frame.folder, draft, texts)
    await check.check(options.haproxy, draft)
    draft.replace(frame.folder / CONFIG)
    _forget_certificates(frame.folder, texts)


async def stop(data: Path, patience: timedelta = timedelta(seconds=10)) -> None:
    """No HAProxy of the gateway in `data` runs any more: it finished its requests within `patience`, or was ended."""
    running = process.adopt(NAME, data / "run")
    if running is None:
        return
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await _ask_to_finish(running)
    except TimeoutError:
        log.warning("HAProxy had requests left and was ended.", extra={"pid": running.pid})
    await process.stop(running)


async def _ask_to_finish(running: Process) -> None:
    """It has ended. It is asked again and again, because a master that just runs its program anew loses the signal."""
    while process.tell(running, signal.SIGUSR1):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_AGAIN.total_seconds()):
                await process.exited(running)
                return


def taken(host: str, port: int) -> str:
    """Why nobody can listen on that port; empty when one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
            return f"port {port} cannot be used: {reason}"
    return ""


def _write(folder: Path, config: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        files.replace(config if name == CONFIG else folder / name, text)


def _forget_certificates(folder: Path, texts: Mapping[str, str]) -> None:
    for path in folder.glob("certificate-*.pem"):
        if path.name not in texts:
            path.unlink()


async def _answers(frame: Frame) -> records.Info | None:
    try:
        return await worker.info(frame.worker)
    except errors.Unavailable:
        return None


async def _leads(frame: Frame) -> bool:
    """The master answers too, which may be later."""
    return await _processes(frame) is not None


async def _until_up(frame: Frame, started: Process) -> None:
    """It answers, master and worker, or it has ended."""
    while process.is_alive(started):
        if await _answers(frame) and await _leads(frame):
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _until_replaced(frame: Frame, before: records.Processes) -> None:
    """There is a new worker and it answers. While the master reads the file it may not answer at all.

    Raises: Unavailable when the master says that the reload failed, when it forgot it, or when there is none any more.
    """
    answered_at = None
    while True:
        now = await _processes(frame)
        if now and await _replaced(frame, before, now):
            return
        answered_at = (answered_at or clock.now()) if now else None
        if answered_at and clock.now() - answered_at > ANSWERS:
            raise errors.Unavailable("HAProxy was told to reload and has gone on with the old worker")
        if not find(frame):
            raise errors.Unavailable("HAProxy ended in the middle of a reload")
        await asyncio.sleep(LOOK_SECONDS)


async def _processes(frame: Frame) -> records.Processes | None:
    try:
        return await master.processes(frame.master)
    except errors.Unavailable:
        return None


async def _replaced(frame: Frame, before: records.Processes, now: records.Processes) -> bool:
    """There is a new worker and it answers. Raises: Unavailable when the master says that the reload failed."""
    if now.failed > before.failed:
        raise errors.Unavailable("HAProxy could not start a worker with the new file; the old one goes on")
    if now.worker in (0, before.worker):
        return False
    info = await _answers(frame)
    return info is not None and info.pid == now.worker


def _ended(path: Path, begin: int) -> errors.Unavailable:
    return errors.Unavailable(f"HAProxy ended at once: {_said(path, begin)}", hint=f"See {path}.")


def _said(path: Path, begin: int) -> str:
    return " ".join(files.last_lines(path, 5, start=begin)) or f"it said nothing at {clock.text(clock.now())}"


def _connections(limit: int) -> int:
    """As many as asked for, as far as this process may open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return limit
    return max(1, min(limit, (hard - SPARE_FILES) // FILES_A_CONNECTION))
