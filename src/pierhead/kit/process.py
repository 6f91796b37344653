"""Programs that outlive whoever started them, and are found again by whoever comes next.

A detached program is remembered in `<run>/<name>.process`: its pid, when it started, its arguments. A pid alone proves
nothing, because the kernel gives it out again: a process is only ever awaited or signalled through a pidfd, after its
start has been compared with the record. Never uses a process group or a program's name to find what to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pierhead.kit import clock, errors, files

KILL_PATIENCE = timedelta(seconds=10)
IDLE_LOOK = timedelta(milliseconds=500)
_DEAD = ("Z", "X")


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a program, alive or not."""

    name: str
    pid: int
    started: str
    """Boot of the machine and clock tick of the start: with the pid, an identity that never comes back."""
    argv: tuple[str, ...]
    run: Path
    """The folder that remembers it."""


def start(name: str, argv: Sequence[str], *, run: Path, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """The program runs in a session of its own, writes to the end of `log`, and is remembered in `run`.

    It lives on when the caller dies. Does not look whether one of that name runs already: `adopt` does.
    Raises: NotFound (no such program).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    run.mkdir(parents=True, exist_ok=True)
    files.rotate(log)
    process = Process(
        name, pid := _spawn(argv, log, dict(os.environ if env is None else env)), _start_of(pid), tuple(argv), run
    )
    files.replace(_record(run, name), _text(process))
    return process


def adopt(name: str, run: Path) -> Process | None:
    """The program of that name that somebody started before, if it is still the same one and alive."""
    process = _read(name, run)
    return process if process and is_alive(process) else None


def lost(name: str, run: Path) -> bool:
    """A program of that name ran since the machine was started, and died without having been stopped."""
    process = _read(name, run)
    return process is not None and process.started.startswith(_boot()) and not is_alive(process)


def alive(run: Path) -> list[Process]:
    """Every remembered program that is alive, by name."""
    found = [adopt(path.stem, run) for path in sorted(run.glob("*.process"))]
    return [process for process in found if process]


def is_alive(process: Process) -> bool:
    """It runs: the pid is taken, by the same run of the program, which has not ended."""
    stat = _stat(process.pid)
    return stat is not None and not stat.has_ended and _identity(stat) == process.started


def runs(pid: int) -> bool:
    """Some process of that pid has not ended. One that has, and whose parent never asked, does not count."""
    stat = _stat(pid)
    return stat is not None and not stat.has_ended


async def exited(process: Process) -> int | None:
    """The program has ended. Its exit status (negative: the signal), None where only its own parent is told."""
    with _handle(process) as handle:
        if handle is None:
            return None
        await _readable(handle)
        return _reap(handle)


async def stop(process: Process, *, patience: timedelta = timedelta(seconds=10)) -> None:
    """The program has ended and is forgotten: asked with SIGTERM, killed when `patience` runs out.

    Raises: Broken (it does not even end when killed).
    """
    for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, KILL_PATIENCE)):
        if await _ends(process, number, limit):
            forget(process)
            return
    raise errors.Broken(
        f"{process.name} (pid {process.pid}) does not end, even when killed",
        hint="It hangs in the kernel, most likely on a disk or a network file system: see `dmesg`.",
    )


def tell(process: Process, number: signal.Signals) -> bool:
    """It was sent the signal. False when it is gone; never reaches another process."""
    with _handle(process) as handle:
        if handle is None:
            return False
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        return True


def forget(process: Process) -> None:
    """Nobody adopts it any more. A newer run of the same name stays remembered."""
    if _read(process.name, process.run) == process:
        _record(process.run, process.name).unlink(missing_ok=True)


def myself(name: str, run: Path) -> Process:
    """The calling process is remembered as `name`."""
    process = Process(name, os.getpid(), _start_of(os.getpid()), tuple(_argv(os.getpid())), run)
    files.replace(_record(run, name), _text(process))
    return process


def describe(pid: int) -> str:
    """How a person would find it: `nginx: master process (pid 812)`; empty when it is gone."""
    argv = _argv(pid)
    return f"{' '.join(argv)[:120]} (pid {pid})" if argv else ""


async def idle(pid: int, limit: timedelta) -> None:
    """Neither it nor what it started has run at all for `limit`: it hangs, however slow the machine is, or is gone."""
    done, since = -1, clock.now()
    while clock.now() - since < limit:
        if (now := _worked(pid)) != done:
            done, since = now, clock.now()
        await asyncio.sleep(IDLE_LOOK.total_seconds())


def _worked(pid: int) -> int:
    """The clock ticks that the process and its children have run."""
    found = [_stat(one) for one in (pid, *_children(pid))]
    return sum(stat.ticks for stat in found if stat)


def _children(pid: int) -> list[int]:
    """Source: proc(5), /proc/pid/task/tid/children, which not every kernel has."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def parent(pid: int) -> int:
    """The pid of its parent, 0 when it is gone."""
    stat = _stat(pid)
    return stat.parent if stat else 0


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    start_tick: int
    ticks: int = 0
    """Of the processor, that it has had so far."""
    threads: int = 1

    @property
    def has_ended(self) -> bool:
        """All of it: while a thread that writes to the disk is left of what was killed, its sockets stay open."""
        return self.state in _DEAD and self.threads <= 1


def _stat(pid: int) -> _Stat | None:
    """Source: proc(5), /proc/pid/stat."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    values = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    state, parent, ticks = values[0], int(values[1]), int(values[11]) + int(values[12])
    return _Stat(state, parent, int(values[19]), ticks, int(values[17]))


def _identity(stat: _Stat) -> str:
    return f"{_boot()}/{stat.start_tick}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> str:
    stat = _stat(pid)
    return _identity(stat) if stat else ""


def _argv(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _spawn(argv: Sequence[str], log: Path, env: dict[str, str]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o640),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    ignored_by_python = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        return os.posix_spawnp(argv[0], list(argv), env, file_actions=actions, setsid=True, setsigdef=ignored_by_python)
    except FileNotFoundError as error:
        raise errors.NotFound(f"the program {argv[0]} is not installed") from error


def _record(run: Path, name: str) -> Path:
    return run / f"{name}.process"


def _text(process: Process) -> str:
    return json.dumps({"pid": process.pid, "started": process.started, "argv": process.argv}, indent=2) + "\n"


def _read(name: str, run: Path) -> Process | None:
    try:
        value = json.loads(_record(run, name).read_text())
        return Process(name, int(value["pid"]), str(value["started"]), tuple(value["argv"]), run)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """A pidfd of exactly this run of the program; None when it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle if _start_of(process.pid) == process.started else None
    finally:
        os.close(handle)


async def _readable(handle: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)


def _reap(handle: int) -> int | None:
    try:
        result = os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


async def _ends(process: Process, number: signal.Signals, limit: timedelta) -> bool:
    """It was sent the signal and ended within `limit`."""
    with _handle(process) as handle:
        if handle is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await _readable(handle)
        except TimeoutError:
            return False
        _reap(handle)
        return True
