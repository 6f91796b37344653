"""Pairs and the sessions that hold them: conditional writes, locks, and what is left when a session ends. Pure."""

from __future__ import annotations

from dataclasses import replace

from pierhead.catalog.records import CRITICAL, Check, Pair, Session
from pierhead.catalog.state import State


def put(state: State, key: str, value: str, flags: int) -> Pair:
    """The key has the value. A lock on it stays with its session, but its count of acquisitions starts over."""
    old = state.pair(key)
    return state.put(Pair(key, value, flags, 0, old.session if old else ""))


def put_if(state: State, key: str, value: str, flags: int, index: int) -> Pair | None:
    """As `put` when the key was last modified at `index` (0: when it is not there); else None and nothing changed."""
    old = state.pair(key)
    if (old.modify if old else 0) != index:
        return None
    return put(state, key, value, flags)


def acquire(state: State, key: str, value: str, flags: int, session: str) -> Pair | None:
    """The key has the value and is held by the session; None when another one holds it, and nothing changed."""
    old = state.pair(key)
    if old and old.session and old.session != session:
        return None
    held = old is not None and old.session == session
    count = (old.lock_index if old else 0) + (0 if held else 1)
    return state.put(Pair(key, value, flags, count, session))


def release(state: State, key: str, value: str, flags: int, session: str) -> Pair | None:
    """The key has the value and is held by nobody; None when the session did not hold it, and nothing changed."""
    old = state.pair(key)
    if old is None or old.session != session:
        return None
    return state.put(Pair(key, value, flags, old.lock_index, ""))


def delete_if(state: State, key: str, index: int) -> bool:
    """True when the key was last modified at `index` (0, or not there: nothing to do) and is gone."""
    old = state.pair(key)
    if old is None:
        return True
    if old.modify != index:
        return False
    state.drop(old)
    return True


def delete_tree(state: State, prefix: str) -> None:
    """No key begins with `prefix`."""
    for key in state.keys(prefix):
        if pair := state.pair(key):
            state.drop(pair)


def end(state: State, session: Session) -> list[str]:
    """There is no such session. The keys that it held are released, or removed, and returned."""
    held = [pair for pair in state.all(Pair) if pair.session == session.id]
    for pair in held:
        if session.behavior == "delete":
            state.drop(pair)
        else:
            state.put(replace(pair, session=""))
    state.drop(session)
    return [pair.name for pair in held]


def end_with(state: State, check: Check) -> None:
    """No session rests on the check, which is about to go."""
    for session in resting_on(state, check):
        end(state, session)


def resting_on(state: State, check: Check) -> list[Session]:
    """The sessions that live only as long as the check is there and not critical."""
    return [
        session
        for session in state.all(Session)
        if session.node.lower() == check.node.lower()
        and check.id in {*session.node_checks, *(each.get("ID", "") for each in session.service_checks or ())}
    ]


def end_on(state: State, node: str) -> None:
    """No session is of the node."""
    for session in state.all(Session):
        if session.node.lower() == node.lower():
            end(state, session)


def is_critical(check: Check | None) -> bool:
    return check is not None and check.status == CRITICAL
