"""Two nodes, 500 requests a second, apps that end at once on SIGTERM: whatever stops instances, none is lost."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.agent_lab import until
from tests.lab.two_nodes_lab import IMAGE, Nodes, nodes

from pierhead.control import apps, builds, deployments, instances, releases
from pierhead.model.app import Deploy, Health, Port, Probe, Spec
from pierhead.model.instance import State
from pierhead.model.release import DeploymentState, ImageConfig
from pierhead.store.deployments import Deployment
from pierhead.store.releases import Image
from pierhead.testing import brisk, steady
from pierhead.wire.docker import containers

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

log = logging.getLogger(__name__)

HOST = "notes.dev.localhost"
SPEC = Spec(
    "notes",
    ports=(Port("web", 8000),),
    replicas=2,
    command=(brisk.COMMAND,),
    health=Health(probe=Probe.HTTP),
    deploy=Deploy(step=2),
)
CONFIG = ImageConfig(("/bin/sh", "-c"), (brisk.COMMAND,), {})


async def test_whatever_stops_instances_no_request_is_lost(tmp_path: Path) -> None:
    async with nodes(tmp_path) as there:
        await release(there)
        for stop in (one_is_stopped, rolling_release, scale_down, node_drain):
            async with steady.sending(there.gateway, HOST, answers="hello,slow") as sent:
                await stop(there)
            sys.stdout.write(f"{stop.__name__}: {sent}\n")
            assert not sent.failed, (stop.__name__, sent)
            assert sent.answers["200"] > 500, (stop.__name__, sent)
        await a_drained_node_is_used_again(there)
        await instances_are_where_the_labels_are(there)


async def release(there: Nodes, spec: Spec = SPEC) -> None:
    """A new release has taken over."""
    ended = await there_is_an_end(there, await asked(there, spec))
    assert ended.state is DeploymentState.SUCCEEDED, ended.reason


async def asked(there: Nodes, spec: Spec) -> int:
    """A deployment of it."""
    await builds.request(there.ctx, spec.app, "dev", "https://git.example/notes", "main")
    build = await builds.claim(there.ctx)
    assert build is not None
    image = Image(IMAGE, "c0ffee", "A commit", image_config=CONFIG)
    deployment = await releases.propose(there.ctx, build, spec, image)
    assert deployment is not None
    return deployment.id


async def there_is_an_end(there: Nodes, deployment: int) -> Deployment:
    async def has_ended() -> bool:
        return (await deployments.find(there.ctx, deployment)).state.has_ended

    await until(has_ended, 100, "the deployment ends")
    return await deployments.find(there.ctx, deployment)


async def rolling_release(there: Nodes) -> None:
    await release(there)


async def one_is_stopped(there: Nodes) -> None:
    """A person stops a container with `docker stop`."""
    one = (await instances.listing(there.ctx))[0]
    await containers.stop(there.engines[there.names.index(one.node)], one.id)
    await until(lambda: are_healthy(there, 2), 100, "another one took its place")


async def scale_down(there: Nodes) -> None:
    await apps.scale(there.ctx, "notes", "dev", 4)
    await until(lambda: are_healthy(there, 4), 100, "four are healthy")
    await apps.scale(there.ctx, "notes", "dev", 1)
    await until(lambda: are_healthy(there, 1), 100, "one is left")


async def node_drain(there: Nodes) -> None:
    """The node that has the only instance is emptied."""
    (before,) = await instances.listing(there.ctx)
    drained = json.loads(await there.pier("node", "drain", before.node, "--json"))
    assert (drained["use"], drained["instances"]) == ("drained", 0)
    await until(lambda: are_healthy(there, 1), 100, "one is left elsewhere")
    (after,) = await instances.listing(there.ctx)
    assert after.node != before.node


async def a_drained_node_is_used_again(there: Nodes) -> None:
    found = json.loads(await there.pier("node", "list", "--json"))
    (drained,) = [one["name"] for one in found if one["use"] == "drained"]
    assert json.loads(await there.pier("node", "activate", drained, "--json"))["use"] == "active"


async def instances_are_where_the_labels_are(there: Nodes) -> None:
    """The app's label and the environment's are on one node only; then on none, and the reason says what each lacks."""
    first, second = sorted(there.names)
    await there.pier("node", "label", second, "disk=ssd", "zone=b")
    await there.pier("node", "label", first, "disk=ssd")
    await there.pier("environment", "set", "dev", "--label", "zone=b")
    spec = replace(SPEC, labels={"disk": "ssd"}, deploy=replace(SPEC.deploy, drain=timedelta(seconds=1)))
    await apps.scale(there.ctx, "notes", "dev", 2)
    await release(there, spec)
    assert await are_at(there, second)
    await there.pier("node", "label", first, "disk=", "zone=c")
    await there.pier("environment", "set", "dev", "--label", "zone=c")
    deployment = await asked(there, spec)
    reason = f"no node can take it: {first} lacks the label disk=ssd, {second} lacks the label zone=c"

    async def is_told() -> bool:
        moving = await deployments.find(there.ctx, deployment)
        return moving.state is DeploymentState.WAITING and reason in moving.reason

    await until(is_told, 100, reason)
    assert reason in await there.pier("ps", "notes")
    await there.pier("node", "label", second, "zone=c")
    ended = await there_is_an_end(there, deployment)
    assert (ended.state, await are_at(there, second)) == (DeploymentState.SUCCEEDED, True), ended.reason


async def are_at(there: Nodes, node: str) -> bool:
    """Both instances that are not leaving."""
    found = await instances.listing(there.ctx)
    return [one.node for one in found if one.state is State.HEALTHY] == [node, node]


async def are_healthy(there: Nodes, count: int) -> bool:
    return [one.state for one in await instances.listing(there.ctx)] == [State.HEALTHY] * count
