"""What is there: the engine's containers, and what the catalog holds under this node's ownership."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from pierhead.agent.endpoint import Held, Node
from pierhead.kit import errors
from pierhead.model.instance import Label, Meta
from pierhead.wire.consul import agent, records
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers, tasks
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.containers import Container

log = logging.getLogger(__name__)

_CHECK = "service:"
_MAINTENANCE = "_service_maintenance:"


def check_id(service_id: str) -> str:
    return f"{_CHECK}{service_id}"


def notes(node: Node) -> str:
    """Written on every check of this agent, so that it finds its own among all."""
    return f"{Meta.OWNER}={node.id}"


async def container(engine: Engine, container_id: str) -> Container | None:
    """The container; None when there is none. Raises: Unavailable, which is not "gone"."""
    try:
        return await containers.inspect(engine, container_id)
    except errors.NotFound:
        return None


async def running(engine: Engine) -> dict[str, str]:
    """The id and state of every container that runs or is paused. Raises: Unavailable."""
    return {one.id: one.state for one in await containers.listing(engine)}


async def leaving(engine: Engine, node: Node) -> dict[str, datetime]:
    """Pierhead's own containers that the swarm wants to end, and since when; none where the engine cannot know."""
    try:
        return await tasks.leaving(engine, {Label.CLUSTER: node.cluster})
    except errors.Unavailable as error:
        log.debug("The engine cannot say what is to end.", extra={"problem": error.message})
        return {}


async def held(consul: Consul, node: Node) -> dict[str, Held]:
    """What this node's agent has registered, by service id. Raises: Unavailable."""
    services = await agent.services(consul, f'Meta["{Meta.OWNER}"] == "{node.id}"')
    checks = await agent.checks(consul, f'Notes == "{notes(node)}" or CheckID matches "^{_MAINTENANCE}"')
    return {key: read(service, checks) for key, service in services.items()}


async def holder(consul: Consul, service_id: str) -> records.Service | None:
    """The service that has this id now, whoever registered it."""
    try:
        return await agent.service(consul, service_id)
    except errors.NotFound:
        return None


def read(service: records.Service, checks: Mapping[str, records.Check]) -> Held:
    own = checks.get(check_id(service.id))
    maintenance = checks.get(f"{_MAINTENANCE}{service.id}")
    return Held(
        id=service.id,
        service=service.name,
        address=service.address,
        port=service.port,
        tags=service.tags,
        meta=dict(service.meta),
        status=own.status if own else "",
        output=own.output if own else "",
        maintenance=maintenance.notes if maintenance else None,
    )
