"""The resolver: as a part of one machine's Pierhead, or alone on a machine of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import signal
from collections.abc import Callable
from pathlib import Path

from pierhead.boot import access
from pierhead.boot.supervise import Report
from pierhead.kit import address, errors
from pierhead.resolver import loop
from pierhead.resolver.loop import Options, Serving
from pierhead.resolver.plan import Naming
from pierhead.resolver.view import View
from pierhead.settings import Settings
from pierhead.wire.dns.forward import Upstream

NAME = "resolver"
RESOLV_CONF = Path("/etc/resolv.conf")
STATE = "resolver/view.json"

_UPSTREAM = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?")
"""With a port; an IPv6 address without one needs no brackets."""


async def run(settings: Settings, report: Report) -> None:
    """Names are answered at the setting's address, until cancelled. Raises: Unavailable (the port is taken)."""
    async with loop.serving(options(settings)) as serving:
        told = None
        while True:
            now = (serving.following.is_live, serving.following.problems)
            if now != told:
                _tell(report, serving)
                told = now
            await serving.following.told.wait()


async def alone(settings: Settings, ready: Callable[[Serving], None]) -> None:
    """Names are answered by this process until SIGTERM or SIGINT. Raises: Unavailable."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with loop.serving(options(settings)) as serving:
        ready(serving)
        await over.wait()


def options(settings: Settings, resolv_conf: str | None = None) -> Options:
    """How the resolver is started for these settings. Raises: Invalid (an address that is none)."""
    own = settings.resolver
    gateway = settings.gateway.host
    return Options(
        catalog_url=settings.catalog_url,
        token=settings.catalog.token,
        tls=access.tls(settings),
        naming=Naming(
            domain=settings.domain,
            answer=tuple(_answers(own.answer)),
            fallback=gateway if _is_specific(gateway) else address.own(),
            own_address=own.host if _is_specific(own.host) else address.own(),
        ),
        host=own.host,
        port=own.port,
        upstreams=tuple(_upstreams(settings, _read() if resolv_conf is None else resolv_conf)),
        state=settings.home / STATE,
    )


def known(settings: Settings) -> View:
    """What the resolver of this data folder knew last."""
    return loop.saved(settings.home / STATE) or View()


def upstream(text: str) -> Upstream:
    """`address`, `address:port` or `[address]:port`. Raises: Invalid."""
    written = _UPSTREAM.fullmatch(text)
    host, port = (written[1] or written[2], int(written[3] or 53)) if written else (text, 53)
    if not _is_address(host) or not 1 <= port <= 65535:
        raise errors.Invalid(f"resolver.upstream: {text!r} is no address", hint="Write 10.0.0.2 or 10.0.0.2:5353.")
    return Upstream(host, port)


def _upstreams(settings: Settings, resolv_conf: str) -> list[Upstream]:
    """The one that was set, else those of this machine; never the resolver itself, which would ask itself for ever."""
    if settings.resolver.upstream:
        return [upstream(settings.resolver.upstream)]
    lines = [line.split() for line in resolv_conf.splitlines()]
    named = [words[1].partition("%")[0] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    found = [Upstream(name) for name in named if _is_address(name)]
    return [one for one in found if (one.address, one.port) != (settings.resolver.host, settings.resolver.port)]


def _answers(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    for part in found:
        if not _is_address(part):
            raise errors.Invalid(
                f"resolver.answer: {part!r} is no address", hint="Write 10.0.0.2, or several with `,`."
            )
    return found


def _tell(report: Report, serving: Serving) -> None:
    where, following = serving.address, serving.following
    if not following.is_live:
        report.degraded(f"Answers from what it knew last: {following.reason}")
    elif following.problems:
        report.degraded(f"Routes that are left out: {'; '.join(following.problems)}")
    else:
        report.ready(f"{where.host}:{where.port}")


def _read() -> str:
    return RESOLV_CONF.read_text() if RESOLV_CONF.exists() else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_specific(text: str) -> bool:
    return _is_address(text) and not ipaddress.ip_address(text).is_unspecified
