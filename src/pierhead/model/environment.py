"""What holds in an environment, whatever runs there: domain, size, nodes, and when it may be changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pierhead.model.app import Spec

STANDARD = ("dev", "staging", "production")
"""There without being made."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(rf"({'|'.join(_DAYS)})[a-z]* (\d\d?):(\d\d)", re.IGNORECASE)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is deployed, in UTC: `2026-12-20T00:00` to `2027-01-02T00:00`, or every week `Fri 16:00`
    to `Mon 08:00`."""

    begin: str
    end: str
    reason: str = ""

    def until(self, now: datetime) -> datetime | None:
        """When it ends, if it has begun; None: it does not hold now. Raises: ValueError (no such time)."""
        if _WEEKLY.fullmatch(self.begin) and _WEEKLY.fullmatch(self.end):
            begin, end = _in_week(self.begin, now), _in_week(self.end, now)
            length = (end - begin) % _WEEK or _WEEK
            since = (now - begin) % _WEEK
            return now - since + length if since < length else None
        begin, end = _moment(self.begin), _moment(self.end)
        if end <= begin:
            raise ValueError(f"{self.end} is not after {self.begin}")
        return end if begin <= now < end else None


@dataclass(frozen=True, slots=True)
class Asked:
    """A deployment that is to begin."""

    deployment: int = 0
    """0: it is not asked for yet."""
    author: str = ""
    """Who asked for it, or pushed what it is of; empty: nobody is known."""
    approvals: Sequence[str] = ()
    override: str = ""
    """Why it begins although the environment is frozen; empty: it does not."""

    def command(self, verb: str) -> str:
        """What lets it begin."""
        return f" (`pier deployment {verb} {self.deployment}`)" if self.deployment else ""


@dataclass(frozen=True, slots=True)
class Environment:
    name: str
    domain: str = ""
    """Apps are found as `<app>.<domain>` too; empty: only below the cluster's, as `<app>.<environment>.<domain>`."""
    replicas: int | None = None
    """Instances of every app, unless `pier scale` says otherwise; None: what `pier.yaml` says."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that nodes must have, besides those that `pier.yaml` names."""
    approvals: int = 0
    """So many people must let a deployment begin. Going back needs none."""
    not_author: bool = False
    """Who asked for a deployment, or pushed it, is none of them."""
    freezes: Sequence[Freeze] = ()

    def applied(self, spec: Spec) -> Spec:
        """The spec as it is released here."""
        replicas = spec.replicas if self.replicas is None else self.replicas
        return replace(spec, zone=self.domain, replicas=replicas, labels={**self.labels, **spec.labels})

    def blocked(self, asked: Asked, now: datetime) -> str:
        """Why a deployment may not begin; empty: it may."""
        for freeze in self.freezes if not asked.override else ():
            if end := freeze.until(now):
                why = f": {freeze.reason}" if freeze.reason else ""
                return f"{self.name} is frozen until {end:%Y-%m-%d %H:%M} UTC{why}{asked.command('override')}"
        counted = {name for name in asked.approvals if self.may_approve(name, asked.author)}
        if len(counted) < self.approvals:
            others = f" of others than {asked.author}" if self.not_author and asked.author else ""
            have = f"{len(counted)} of {self.approvals}{others}"
            return f"waits for approval, {have}{asked.command('approve')}"
        return ""

    def may_approve(self, name: str, author: str) -> bool:
        return not (self.not_author and name == author)


def _in_week(text: str, now: datetime) -> datetime:
    """That time of that day, in the week of `now`. Raises: ValueError."""
    match = _WEEKLY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of a week: write Fri 16:00")
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    day = _DAYS.index(match[1].lower())
    return monday.replace(hour=int(match[2]), minute=int(match[3])) + timedelta(days=day)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2026-12-20T00:00 (UTC), or Fri 16:00 for every week") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
