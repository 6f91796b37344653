"""What happens to rows as time passes: TTLs run out, critical services are removed, sessions end. Pure; `now` is given.

It follows the rows: whatever changes them, `follow` is told of the row and sets or clears its deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pierhead.catalog import aliases, locks, registry
from pierhead.catalog.deadlines import Deadlines
from pierhead.catalog.ledger import Key
from pierhead.catalog.records import CRITICAL, Check, Row, Session
from pierhead.catalog.state import State

SESSION_GRACE = 2
"""A session ends when its TTL has passed that many times without a renewal, as with Consul."""

OUTPUT_DELAY = timedelta(seconds=10)
"""How long a change of nothing but a check's output may take to become a change of the catalog."""


@dataclass(slots=True)
class Upkeep:
    state: State
    least_removal: timedelta = timedelta(minutes=1)
    """Consul's lower limit of DeregisterCriticalServiceAfter."""
    outputs: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What checks said last where the catalog does not know it yet."""
    locked_until: dict[str, float] = field(default_factory=dict)
    """Keys whose lock nobody gets before that time, because their session was destroyed."""
    aliases: set[tuple[str, ...]] = field(default_factory=set)
    """The checks that stand for others."""
    _deadlines: Deadlines = field(default_factory=Deadlines)

    @property
    def next(self) -> float | None:
        """When `pass_time` has something to do."""
        return self._deadlines.next

    def follow(self, rows: Mapping[Key, Row | None], now: float) -> None:
        """Deadlines are those of the rows as they are now."""
        are_checks_changed = False
        for (kind, key), row in rows.items():
            are_checks_changed |= kind == "check"
            if kind == "check":
                self._follow_check(key, row if isinstance(row, Check) else None, now)
                if isinstance(row, Check) and locks.is_critical(row):
                    for session in locks.resting_on(self.state, row):
                        self.end_session(session, now)
            elif kind == "session":
                self._follow_session(key, row if isinstance(row, Session) else None, now)
        if are_checks_changed:
            self._judge_aliases(now)

    def beat(self, check: Check, now: float) -> None:
        """The TTL starts anew."""
        if seconds := check.definition.get("ttl"):
            self._deadlines.set(("ttl", *check.key), now + seconds)

    def renew(self, session: Session, now: float) -> None:
        """The session's time starts anew."""
        if session.ttl_seconds:
            self._deadlines.set(("session", session.id), now + SESSION_GRACE * session.ttl_seconds)

    def report(self, check: Check, status: str, output: str, now: float) -> None:
        """The check has that status. Mere output reaches the catalog later, so that watchers are not woken for it; the
        first output does at once, because it is why the check has not passed yet."""
        if check.status != status or not check.output:
            self.outputs.pop(check.key, None)
            self.state.put(replace(check, status=status, output=output))
        elif output != self.outputs.get(check.key, check.output):
            self.outputs[check.key] = output
            if not self._deadlines.has(("output", *check.key)):
                self._deadlines.set(("output", *check.key), now + OUTPUT_DELAY.total_seconds())

    def pass_time(self, now: float) -> None:
        """Everything that is due by `now` has happened to the state."""
        for what, *key in self._deadlines.due(now):
            if what == "session":
                self._end_session(key[0], now)
            elif check := self.state.check(*key):
                self._act(what, check)

    def end_session(self, session: Session, now: float) -> None:
        """There is no such session; its keys are released or removed, and locked for its lock delay."""
        freed = locks.end(self.state, session)
        if session.lock_delay_ns:
            until = now + session.lock_delay_ns / 1e9
            self.locked_until = {key: at for key, at in self.locked_until.items() if at > now}
            self.locked_until.update(dict.fromkeys(freed, until))

    def _act(self, what: str, check: Check) -> None:
        if what == "ttl":
            last = self.outputs.pop(check.key, check.output)
            text = f"TTL expired (last output before timeout follows): {last}" if last else "TTL expired"
            if not last.startswith("TTL expired"):
                self.state.put(replace(check, status=CRITICAL, output=text))
        elif what == "output":
            if (output := self.outputs.pop(check.key, None)) is not None:
                self.state.put(replace(check, output=output))
        elif what == "removal" and check.status == CRITICAL and check.service_id:
            registry.drop_service(self.state, check.node, check.service_id)

    def _follow_check(self, key: tuple[str, ...], row: Check | None, now: float) -> None:
        removal, ttl = ("removal", *key), ("ttl", *key)
        if row is not None and row.kind == "alias":
            self.aliases.add(key)
        else:
            self.aliases.discard(key)
        if row is None:
            self.outputs.pop(key, None)
            for each in (removal, ttl, ("output", *key)):
                self._deadlines.clear(each)
            return
        after = row.definition.get("removal")
        if not after or row.status != CRITICAL:
            self._deadlines.clear(removal)
        elif not self._deadlines.has(removal):
            self._deadlines.set(removal, now + max(after, self.least_removal.total_seconds()))
        if not row.definition.get("ttl"):
            self._deadlines.clear(ttl)
        elif not self._deadlines.has(ttl) and not row.output.startswith("TTL expired"):
            self.beat(row, now)

    def _judge_aliases(self, now: float) -> None:
        for key in self.aliases:
            if alias := self.state.check(*key):
                self.report(alias, *aliases.verdict(self.state, alias), now)

    def _follow_session(self, key: tuple[str, ...], row: Session | None, now: float) -> None:
        if row is None:
            self._deadlines.clear(("session", *key))
        else:
            self.renew(row, now)

    def _end_session(self, session_id: str, now: float) -> None:
        if session := self.state.session(session_id):
            self.end_session(session, now)
