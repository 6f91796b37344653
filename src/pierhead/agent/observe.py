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


class Reader:
    """Reads what the catalog holds; answers that are byte for byte those before are not decoded again."""

    def __init__(self, consul: Consul, node: Node) -> None:
        self._consul, self._node = consul, node
        self.node = node.name
        self._bodies: tuple[bytes, bytes] | None = None
        self._held: Mapping[str, Held] = {}

    async def held(self) -> Mapping[str, Held]:
        """What this node's agent has registered, by service id: the very same object when nothing is different.

        Raises: Unavailable.
        """
        services = await agent.services_answer(self._consul, f'Meta["{Meta.OWNER}"] == "{self._node.id}"')
        wanted = f'Notes == "{notes(self._node)}" or CheckID matches "^{_MAINTENANCE}"'
        checks = await agent.checks_answer(self._consul, wanted)
        if (services.body, checks.body) != self._bodies:
            known = agent.read_checks(checks)
            self._held = {key: read(service, known) for key, service in agent.read_services(services).items()}
            self._bodies = services.body, checks.body
        return self._held


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
