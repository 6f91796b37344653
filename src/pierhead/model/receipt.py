"""The receipt of a deployment: what the gateways counted for both releases while it moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pierhead.model.app import Gate


@dataclass(frozen=True, slots=True)
class Count:
    """Of one release."""

    requests: int = 0
    errors: int = 0
    """Answers of 500 and above."""
    failures: int = 0
    """Requests that were never answered whole."""
    retries: int = 0
    response_ms: float = 0.0
    """Average answer time."""

    @property
    def failed(self) -> int:
        return self.errors + self.failures

    @property
    def error_rate(self) -> float:
        return self.failed / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Receipt:
    seconds: float = 0.0
    """From the first look at the deployment to the last."""
    releases: Mapping[str, Count] = field(default_factory=dict)
    """`v3` → what went to it meanwhile."""
    drained: int = 0
    """Requests that old instances still had when they were no longer sent any, and finished."""
    seen: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)
    """Gateway and service → what it said last, so that whoever goes on counts nothing twice."""


def add(receipt: Receipt, source: str, now: Mapping[str, Count]) -> Receipt:
    """The receipt with what `source` has counted since it was asked last; its first answer is where counting begins.

    A release that it names for the first time has had nothing before; one that nothing went to is left out. A count
    that has become less began anew.
    """
    before = receipt.seen.get(source)
    found = dict(receipt.releases)
    for release, count in now.items() if before is not None else ():
        since = _since(before.get(release) if before else None, count)
        if since.requests or since.failed or release in found:
            found[release] = _sum(found.get(release, Count()), since)
    return replace(receipt, releases=found, seen={**receipt.seen, source: dict(now)})


def verdict(receipt: Receipt, release: str, gate: Gate | None) -> str:
    """Why the counters speak against the release; empty: they do not, or it is too early."""
    count = receipt.releases.get(release, Count())
    if gate is None or count.requests < gate.min_requests or count.error_rate <= gate.max_error_rate:
        return ""
    rate, most = 100 * count.error_rate, 100 * gate.max_error_rate
    return f"{rate:.2g} % of {count.requests} requests failed, {most:g} % may"


def undecided(receipt: Receipt, release: str, gate: Gate | None) -> str:
    """What the gate still waits for; empty: nothing."""
    count = receipt.releases.get(release, Count())
    if gate is None or count.requests >= gate.min_requests:
        return ""
    return f"{count.requests} of {gate.min_requests} requests that the gate wants to see"


def _since(before: Count | None, now: Count) -> Count:
    if before is None or now.requests < before.requests:
        return now
    requests = now.requests - before.requests
    spent = now.response_ms * now.requests - before.response_ms * before.requests
    return Count(
        requests,
        max(now.errors - before.errors, 0),
        max(now.failures - before.failures, 0),
        max(now.retries - before.retries, 0),
        max(spent / requests, 0.0) if requests else 0.0,
    )


def _sum(one: Count, other: Count) -> Count:
    requests = one.requests + other.requests
    spent = one.response_ms * one.requests + other.response_ms * other.requests
    return Count(
        requests,
        one.errors + other.errors,
        one.failures + other.failures,
        one.retries + other.retries,
        spent / requests if requests else 0.0,
    )
