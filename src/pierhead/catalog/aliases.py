"""Alias checks: as good as all checks of another service, or of a node. Pure."""

from __future__ import annotations

from pierhead.catalog.records import CRITICAL, PASSING, WARNING, Check
from pierhead.catalog.state import State


def verdict(state: State, alias: Check) -> tuple[str, str]:
    """The status and output of an alias check, by the checks that it stands for."""
    node = alias.definition.get("alias_node") or alias.node
    service = alias.definition.get("alias_service", "")
    found = [*state.checks(node, ""), *(state.checks(node, service) if service else ())]
    others = [check for check in found if check.key != alias.key and check.kind != "alias"]
    for status in (CRITICAL, WARNING):
        for check in others:
            if check.status == status:
                return status, f'Aliased check "{check.name}" failing: {check.output}'
    return PASSING, "All checks passing." if others else "No checks found."
