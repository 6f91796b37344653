"""Environments run what they should: observe, plan, apply, again and again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pierhead.control import apps, deployments, host_ports, instances, logs, nodes, releases
from pierhead.control.apps import Place
from pierhead.control.context import Context
from pierhead.control.instances import Cluster
from pierhead.control.nodes import Moving
from pierhead.kit import clock, errors
from pierhead.kit.backoff import Backoff
from pierhead.model.instance import Label
from pierhead.model.release import DeploymentState, Release, engine_name
from pierhead.model.route import Route
from pierhead.model.step import Step
from pierhead.release import apply, leaving, observe
from pierhead.release.group import Group, groups
from pierhead.release.observe import Traffic
from pierhead.release.plan import Running, Target, plan
from pierhead.release.routes import routes
from pierhead.store.deployments import Deployment
from pierhead.wire.docker.services import Service

_log = logging.getLogger(__name__)
_MOVING = timedelta(milliseconds=150)
"""How often an environment that moves is looked at."""
_RESTING = timedelta(seconds=5)
"""How often the others are."""
_LEASE = timedelta(seconds=15)
_LOG_LINES = 20


@dataclass(slots=True)
class Memory:
    """What only this process needs to know; a server that starts anew begins with an empty one."""

    progress: dict[int, datetime] = field(default_factory=dict)
    """When a deployment last got further: its deadline counts from there."""
    said: dict[int, str] = field(default_factory=dict)
    """What was written down last of a deployment that waits, so that it is written once."""


async def run(ctx: Context) -> None:
    """Every environment is brought to its release and kept there, until cancelled."""
    backoff, memory = Backoff(limit=timedelta(seconds=5)), Memory()
    while True:
        try:
            pause = await cycle(ctx, memory)
            backoff.succeeded()
        except errors.Unavailable as error:
            _log.warning("Releases wait: %s", error)
            pause = timedelta(seconds=backoff.failed())
        except Exception:
            _log.exception("Releases could not be worked on.")
            pause = timedelta(seconds=backoff.failed())
        await ctx.release_wanted.wait(pause)


async def cycle(ctx: Context, memory: Memory) -> timedelta:
    """One look at everything and the steps that follow. Returns for how long nothing needs to be looked at.

    Raises: Unavailable (the engine, the catalog or the database does not answer).
    """
    there = await instances.cluster(ctx)
    await host_ports.settle(ctx, {service.name for mine in there.services.values() for service in mine})
    places = await apps.places(ctx)
    scenes = [await _scene(ctx, place) for place in places]
    await apply.write_routes(
        ctx,
        {name: route for scene in scenes for name, route in scene.routes(ctx).items()},
    )
    look = _Look(there, await nodes.moving(ctx))
    moving = [await _advance(ctx, scene, look, memory) for scene in scenes]
    if look.nodes:
        await nodes.proceed(ctx, look.nodes, is_ready=not look.staying)
    known = {(place.app, place.environment) for place in places}
    ending = [await _end(ctx, there.services[orphan], there) for orphan in there.services.keys() - known]
    return _MOVING if any(moving) or any(ending) or look.nodes else _RESTING


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is, for all environments."""

    there: Cluster
    nodes: Moving
    staying: list[str] = field(default_factory=list)
    """Why nodes that are being drained cannot be left yet."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """One environment: where it is to go."""

    place: Place
    target: Release | None

    @property
    def routed(self) -> list[Release]:
        """The releases whose names lead to it now, the newest first."""
        current = self.place.release
        return [one for one in (self.target, current if current != self.target else None) if one]

    def routes(self, ctx: Context) -> dict[str, Route]:
        is_in_maintenance = self.place.is_in_maintenance
        return routes(self.routed, ctx.domains, ctx.settings.cluster, is_in_maintenance=is_in_maintenance)


async def _scene(ctx: Context, place: Place) -> _Scene:
    return _Scene(place, await releases.find(ctx, place.moving.to_release_id) if place.moving else place.release)


async def _advance(ctx: Context, scene: _Scene, look: _Look, memory: Memory) -> bool:
    """The environment's next steps are taken. True when it moves."""
    place = scene.place
    mine = groups(look.there.services.get((place.app, place.environment), ()), look.there.tasks)
    target = _target(ctx, scene, memory)
    if target and not place.moving and not look.nodes and _is_settled(target, mine):
        return False
    if not target and not mine:
        return False
    if not await apps.claim(ctx, place.app, place.environment, _LEASE):
        look.staying.append(f"another server moves {place.app} in {place.environment}")
        return False
    try:
        if any([await apply.tidy(ctx, group) for group in mine.values()]):
            look.staying.append(f"{place.app} in {place.environment} is being tidied")
            return True
        running = await _running(ctx, scene, mine.values())
        for step in plan(_around(target, mine, running, look), running).steps:
            await _take(ctx, scene, step, mine, memory)
    except errors.Invalid as error:
        look.staying.append(str(error))
        await _refuse(ctx, place, error)
    except errors.PierError as error:
        look.staying.append(str(error))
        await _say(ctx, place.moving, Step("wait", place.app, str(error)), memory)
        _log.warning("A step was not taken: %s", error, extra={"app": place.app, "environment": place.environment})
    return True


def _around(target: Target | None, mine: Mapping[str, Group], running: Sequence[Running], look: _Look) -> Target | None:
    """The target as it is while nodes are being drained."""
    if target is None or not look.nodes:
        return target
    group, seen = mine.get(target.name), next((one for one in running if one.name == target.name), None)
    if why := leaving.reason(target, group, seen, look.nodes):
        look.staying.append(why)
    return leaving.raised(target, group, seen, look.nodes)


def _target(ctx: Context, scene: _Scene, memory: Memory) -> Target | None:
    place, release = scene.place, scene.target
    if release is None:
        return None
    moving = None
    if place.moving:
        moving = clock.now() - memory.progress.setdefault(place.moving.id, clock.now())
    deploy = release.spec.deploy
    wanted = place.wanted_replicas
    return Target(
        name=engine_name(ctx.settings.cluster, release.app, release.environment, release.number),
        replicas=release.spec.replicas if wanted is None else wanted,
        strategy=deploy.strategy,
        step=deploy.step,
        moving=moving,
        deadline=deploy.deadline,
    )


def _is_settled(target: Target, mine: Mapping[str, Group]) -> bool:
    """The engine has what is wanted, and nothing else."""
    return [(group.name, group.replicas) for group in mine.values()] == [(target.name, target.replicas)] and not any(
        group.spent or any(member.taken_ports for member in group.members) for group in mine.values()
    )


async def _running(ctx: Context, scene: _Scene, mine: Iterable[Group]) -> list[Running]:
    found = {group.name: (group, await _release_of(ctx, group)) for group in mine}
    seen = await observe.traffic(ctx, [release for _, release in found.values() if release])
    since = scene.place.moving.created_at if scene.place.moving else None
    return [observe.running(group, release.spec if release else None, seen, since) for group, release in found.values()]


async def _release_of(ctx: Context, group: Group) -> Release | None:
    service = group.members[0].service
    number = service.labels.get(Label.RELEASE, "").removeprefix("v")
    app, environment = instances.place(service.labels)
    return await releases.numbered(ctx, app, environment, int(number)) if number.isdecimal() else None


async def _take(ctx: Context, scene: _Scene, step: Step, known: Mapping[str, Group], memory: Memory) -> None:
    moving = scene.place.moving
    if step.kind == "done" and moving:
        if await deployments.succeeded(ctx, moving, f"{step.target}: {step.cause}"):
            _log.info("Deployed: %s.", step)
    elif step.kind == "fail" and moving:
        await _fail(ctx, moving, step, known.get(step.target))
    else:
        if step.kind != "wait":
            await apply.step(ctx, step, scene.target, known)
            if moving:
                memory.progress[moving.id] = clock.now()
        await _say(ctx, moving, step, memory)


async def _fail(ctx: Context, moving: Deployment, step: Step, group: Group | None) -> None:
    """The deployment has failed; the next look brings back what ran before. The reason is there with the last lines."""
    lines = await logs.last(ctx, group.members[0].service, _LOG_LINES) if group else []
    if lines:
        await deployments.note(ctx, moving.id, "log", "\n".join(lines))
    await deployments.end(ctx, moving.id, DeploymentState.FAILED, step.cause)
    _log.warning("A deployment failed: %s.", step, extra={"deployment": moving.id})


async def _refuse(ctx: Context, place: Place, error: errors.Invalid) -> None:
    """The engine will never take what the release asks for, so nothing is waited for."""
    _log.warning("The engine refused a step: %s", error, extra={"app": place.app, "environment": place.environment})
    if place.moving:
        await deployments.end(ctx, place.moving.id, DeploymentState.FAILED, str(error))


async def _say(ctx: Context, moving: Deployment | None, step: Step, memory: Memory) -> None:
    text = str(step)
    if moving and memory.said.get(moving.id) != text:
        memory.said[moving.id] = text
        await deployments.note(ctx, moving.id, step.kind, f"{step.target}: {step.cause}" if step.cause else step.target)


async def _end(ctx: Context, services: Sequence[Service], there: Cluster) -> bool:
    """What runs of an app that was removed is drained and removed."""
    known = groups(services, there.tasks)
    for step in plan(None, [observe.running(group, None, Traffic()) for group in known.values()]).steps:
        await apply.step(ctx, step, None, known)
    return True
