"""What went to each release: HAProxy's counters, added up over workers that come and go and slots that are given anew.

HAProxy counts per slot of one worker, from nothing when the worker starts. Here it only grows while this process lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pierhead.gateway import slots
from pierhead.gateway.layout import WITH_HOSTS, Pool
from pierhead.wire.haproxy import records


@dataclass(slots=True)
class Count:
    """Of one release of one service."""

    requests: int = 0
    """That its instances were given: connections where the port is plain TCP."""
    errors: int = 0
    """Answers of 500 and above."""
    failures: int = 0
    """Requests that were never answered whole."""
    retries: int = 0
    response_ms: float = 0.0
    """Average of those counted here."""


@dataclass(slots=True)
class Meter:
    _counts: dict[tuple[str, str, str], Count] = field(default_factory=dict)
    """Service, pool, release → its count."""
    _gone: set[int] = field(default_factory=set)
    """Workers that were counted to their end; what is still said of one was asked before."""
    _seen: dict[tuple[int, str, str], records.Load] = field(default_factory=dict)
    """Worker, backend, slot → what it said last."""
    _releases: dict[tuple[str, str], str] = field(default_factory=dict)
    """Service, address → the release that was last there."""

    def read(self, pool: Pool, pid: int, loads: Iterable[records.Load]) -> None:
        """What a worker says of a pool is counted, if it was not before."""
        for server in pool.servers:
            if server.key and server.endpoints:
                self._releases[pool.service, slots.address(server.key)] = server.endpoints[0].release
        for load in () if pid in self._gone else loads:
            key = (pid, load.backend or pool.name, load.name)
            before = self._seen.get(key)
            if before and (load.total, load.answers) < (before.total, before.answers):
                continue  # somebody else asked later and was answered sooner
            self._seen[key] = load
            release = self._releases.get((pool.service, load.address))
            if release is not None:
                count = self._counts.setdefault((pool.service, pool.name, release), Count())
                _add(count, before, load, is_http=pool.protocol in WITH_HOSTS)

    def keep(self, pids: Iterable[int]) -> None:
        """Other workers are gone, and what they had said is done with."""
        alive = set(pids)
        self._gone = (self._gone | {pid for pid, _, _ in self._seen}) - alive
        self._seen = {key: load for key, load in self._seen.items() if key[0] in alive}

    def of(self, service: str) -> dict[str, Count]:
        """By release. For what has been read; releases that nothing was read of are not there."""
        found: dict[str, list[Count]] = {}
        for (name, _, release), count in self._counts.items():
            if name == service:
                found.setdefault(release, []).append(count)
        return {release: _sum(counts) for release, counts in found.items()}

    @property
    def counts(self) -> Mapping[tuple[str, str, str], Count]:
        """Service, pool, release → what was counted. It only grows."""
        return self._counts


def _sum(counts: list[Count]) -> Count:
    requests = sum(one.requests for one in counts)
    return Count(
        requests,
        errors=sum(one.errors for one in counts),
        failures=sum(one.failures for one in counts),
        retries=sum(one.retries for one in counts),
        response_ms=sum(one.response_ms * one.requests for one in counts) / requests if requests else 0.0,
    )


def _add(count: Count, before: records.Load | None, now: records.Load, *, is_http: bool) -> None:
    old = before or records.Load(now.name, now.address, 0, 0)
    answered = now.answers - old.answers if is_http else now.total - old.total
    failures = now.failed - old.failed
    requests = max(answered, 0) + (max(failures, 0) if is_http else 0)
    if requests:
        count.response_ms = (count.response_ms * count.requests + now.response_ms * requests) / (
            count.requests + requests
        )
    count.requests += requests
    count.errors += max(now.errors - old.errors, 0)
    count.failures += max(failures, 0)
    count.retries += max(now.retries - old.retries, 0)
