"""Steps carried out on the catalog, one request each, and noted in the mirror."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from pierhead.agent import mirror, observe
from pierhead.agent.endpoint import Kind, Node
from pierhead.agent.mirror import Mirror
from pierhead.agent.plan import DRAIN_REASON, Wanted
from pierhead.kit import errors
from pierhead.model.instance import Meta
from pierhead.model.step import Plan, Step
from pierhead.wire.consul import agent
from pierhead.wire.consul.agent import Check, Registration
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

_TTL = timedelta(hours=8760)
"""A dead agent must never take a working endpoint away."""


@dataclass(frozen=True, slots=True)
class Target:
    consul: Consul
    node: Node
    mirror: Mirror


async def apply(target: Target, plan: Plan) -> None:
    """The catalog is as the plan says. Every step can be repeated.

    Raises: Unavailable; Conflict (the id belongs to somebody else); Invalid (the catalog refuses the registration).
    """
    for step in plan.steps:
        await _ACTIONS[step.kind](target, step)
        log.info("%s", step)


async def _register(target: Target, step: Step) -> None:
    wanted: Wanted = step.data
    before = target.mirror.get(step.target)
    if before is None:
        await _refuse_strangers(target, step.target)
    await agent.register(target.consul, registration(target.node, wanted), replace_checks=False)
    target.mirror.put(mirror.after(wanted, before))


async def _refuse_strangers(target: Target, service_id: str) -> None:
    """What this agent does not own is never written over."""
    other = await observe.holder(target.consul, service_id)
    if other and other.meta.get(Meta.OWNER) != target.node.id:
        raise errors.Conflict(
            f"The catalog has another {service_id!r}: {other.name} at {other.address}:{other.port}, "
            f"registered by {other.meta.get(Meta.OWNER) or 'somebody else'}.",
            hint="Deregister it, or give the container another name or SERVICE_ID.",
        )


async def _deregister(target: Target, step: Step) -> None:
    try:
        await agent.deregister(target.consul, step.target)
    except errors.NotFound:
        log.debug("It was gone already.", extra={"service": step.target})
    target.mirror.drop(step.target)


async def _update(target: Target, step: Step) -> None:
    wanted: Wanted = step.data
    try:
        await agent.update_check(target.consul, observe.check_id(step.target), wanted.status, wanted.output)
    except errors.NotFound as error:
        raise _lost(step) from error
    _note(target, step.target, status=wanted.status, output=wanted.output)


async def _drain(target: Target, step: Step) -> None:
    await _maintenance(target, step, DRAIN_REASON)


async def _return(target: Target, step: Step) -> None:
    await _maintenance(target, step, None)


async def _maintenance(target: Target, step: Step, reason: str | None) -> None:
    try:
        await agent.maintenance(target.consul, step.target, enable=reason is not None, reason=reason or "")
    except errors.NotFound as error:
        raise _lost(step) from error
    _note(target, step.target, maintenance=reason)


def _note(target: Target, service_id: str, **changes: str | None) -> None:
    if held := target.mirror.get(service_id):
        target.mirror.put(replace(held, **changes))  # type: ignore[arg-type]


def _lost(step: Step) -> errors.Unavailable:
    return errors.Unavailable(f"The catalog has forgotten {step.target}.", hint="It is registered again soon.")


def registration(node: Node, wanted: Wanted) -> Registration:
    """What the catalog is told of an endpoint: one check that only this agent moves."""
    endpoint = wanted.endpoint
    is_ttl = endpoint.probe.kind is Kind.TTL
    check = Check(
        id=observe.check_id(endpoint.id),
        name=f"{endpoint.probe.kind} as seen from {node.name}",
        ttl=endpoint.probe.interval if is_ttl else _TTL,
        status=wanted.status,
        notes=observe.notes(node),
    )
    return Registration(
        name=endpoint.service,
        id=endpoint.id,
        address=endpoint.address,
        port=endpoint.port,
        tags=endpoint.tags,
        meta=endpoint.meta,
        checks=(check,),
    )


_ACTIONS: Mapping[str, Callable[[Target, Step], Awaitable[None]]] = {
    "register": _register,
    "deregister": _deregister,
    "pass": _update,
    "fail": _update,
    "drain": _drain,
    "return": _return,
}
