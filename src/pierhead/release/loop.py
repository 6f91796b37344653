"""Environments run what they should: observe, plan, apply, again and again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pierhead.control import apps, deployments, host_ports, instances, logs, nodes, registry, releases
from pierhead.control.apps import Place
from pierhead.control.context import Context
from pierhead.control.instances import Cluster
from pierhead.control.nodes import Moving
from pierhead.kit import clock, errors
from pierhead.kit.backoff import Backoff
from pierhead.model.instance import Label
from pierhead.model.receipt import Receipt
from pierhead.model.release import DeploymentState, Release
from pierhead.model.route import Route
from pierhead.model.step import Step
from pierhead.release import apply, leaving, observe
from pierhead.release import jobs as release_jobs
from pierhead.release import runs as release_runs
from pierhead.release.book import Book
from pierhead.release.group import Group, Member, groups
from pierhead.release.observe import Traffic
from pierhead.release.picture import Hook, Running, Target
from pierhead.release.plan import plan, unseen
from pierhead.release.routes import Shares, routes
from pierhead.release.scene import Clock, Scene, planned, preview, routed
from pierhead.release.scene import target as aim
from pierhead.release.scene import weights as weigh
from pierhead.store.deployments import Deployment
from pierhead.wire.docker.services import Service

_log = logging.getLogger(__name__)
_MOVING = timedelta(milliseconds=150)
"""How often an environment that moves is looked at."""
_PAUSING = timedelta(milliseconds=500)
"""How often one that waits for a time or a person is looked at."""
_RESTING = timedelta(seconds=5)
"""How often the others are."""
_LEASE = timedelta(seconds=15)
_LOG_LINES = 20
_WAITING = ("wait", "pause")
"""Steps that do nothing but wait."""


@dataclass(slots=True)
class Memory:
    """What only this process needs to know; a server that starts anew begins with an empty one."""

    progress: dict[int, datetime] = field(default_factory=dict)
    """When a deployment last got further: its deadline counts from there."""
    said: dict[int, str] = field(default_factory=dict)
    """What was written down last of a deployment that waits, so that it is written once."""
    weights: dict[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    """How the requests of an environment were divided when that was last known."""
    receipts: Book = field(default_factory=Book)


async def run(ctx: Context) -> None:
    """Every environment is brought to its release and kept there, until cancelled."""
    backoff, memory = Backoff(limit=timedelta(seconds=5)), Memory()
    while True:
        try:
            pause = await look(ctx, memory)
            backoff.succeeded()
        except errors.Unavailable as error:
            _log.warning("Releases wait: %s", error)
            pause = timedelta(seconds=backoff.failed())
        except Exception:
            _log.exception("Releases could not be worked on.")
            pause = timedelta(seconds=backoff.failed())
        await ctx.release_wanted.wait(pause)


async def look(ctx: Context, memory: Memory) -> timedelta:
    """As `cycle`; what does not answer is what the deployments wait for."""
    try:
        return await cycle(ctx, memory)
    except errors.Unavailable as error:
        memory.said.clear()
        await deployments.held_up(ctx, error.message)
        raise


async def cycle(ctx: Context, memory: Memory) -> timedelta:
    """One look at everything and the steps that follow. Returns for how long nothing needs to be looked at.

    Raises: Unavailable (the engine, the catalog or the database does not answer).
    """
    held = await apply.held_routes(ctx)
    there = await instances.cluster(ctx)
    await host_ports.settle(ctx, {service.name for mine in there.services.values() for service in mine})
    await registry.settle(ctx, [service for mine in there.services.values() for service in mine])
    places = await apps.places(ctx)
    looks = [await _look(ctx, place, there, memory) for place in places]
    await apply.write_routes(ctx, held, {name: route for look in looks for name, route in _routes(ctx, look).items()})
    drain = _Drain(await nodes.moving(ctx))
    pauses = [await _advance(ctx, look, drain, memory) for look in looks]
    if drain.nodes:
        await nodes.proceed(ctx, drain.nodes, is_ready=not drain.staying)
        _log.info("Drains nodes.", extra={"waits": "; ".join(drain.staying)})
    is_running = await release_runs.look(ctx, there)
    known = {(place.app, place.environment) for place in places}
    ending = [await _end(ctx, there.services[orphan], there) for orphan in there.services.keys() - known]
    return _MOVING if any(ending) or drain.nodes or is_running else min([*pauses, _RESTING])


@dataclass(frozen=True, slots=True)
class _Drain:
    """Nodes that are being drained."""

    nodes: Moving
    staying: list[str] = field(default_factory=list)
    """Why they cannot be left yet."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One environment as it is seen now."""

    scene: Scene
    mine: Mapping[str, Group]
    jobs: Sequence[Member]
    target: Target | None
    running: Sequence[Running]
    weights: Mapping[str, int]
    error: errors.PierError | None = None
    """Why what runs could not be seen; then requests stay where they are."""

    @property
    def is_resting(self) -> bool:
        return not self.scene.place.moving and not self.jobs and _is_settled(self.target, self.mine)


async def _look(ctx: Context, place: Place, there: Cluster, memory: Memory) -> _Look:
    target = await releases.find(ctx, place.moving.to_release_id) if place.moving else place.release
    scene = Scene(place, target, ctx.settings.cluster)
    mine = groups(there.services.get((place.app, place.environment), ()), there.tasks)
    jobs = release_jobs.of(scene, there)
    key, moving = (place.app, place.environment), place.moving
    wanted = await _target(ctx, scene, memory, jobs)
    look = _Look(scene, mine, jobs, wanted, (), {})
    if look.is_resting:
        memory.weights.pop(key, None)
        return look
    try:
        seen = await _seen(ctx, scene, mine.values())
    except errors.PierError as error:
        return replace(look, error=error, weights=memory.weights.get(key, planned(scene)))
    if moving:
        await memory.receipts.add(ctx, moving, seen.traffic)
        wanted = await _target(ctx, scene, memory, jobs)
    weights = memory.weights[key] = weigh(scene, seen.running)
    return replace(look, target=wanted, running=seen.running, weights=weights)


def _routes(ctx: Context, look: _Look) -> Mapping[str, Route]:
    releases = routed(look.scene, look.mine, look.target.before if look.target else Hook.NONE)
    shares = Shares(look.weights, preview(look.scene, releases), look.scene.place.is_in_maintenance)
    return routes(releases, ctx.domains, ctx.settings.cluster, shares)


async def _advance(ctx: Context, look: _Look, drain: _Drain, memory: Memory) -> timedelta:
    """The environment's next steps are taken. Returns when it is to be looked at again."""
    place = look.scene.place
    if look.is_resting and not (drain.nodes and look.mine):
        return _RESTING
    if not await apps.claim(ctx, place.app, place.environment, _LEASE):
        drain.staying.append(f"another server moves {place.app} in {place.environment}")
        return _RESTING
    try:
        is_pausing = await _move(ctx, look, drain, memory)
    except deployments.Lost as error:
        drain.staying.append(str(error))
        _log.warning("Left a deployment to another server: %s", error)
        return _MOVING
    return _PAUSING if is_pausing else _MOVING


async def _move(ctx: Context, look: _Look, drain: _Drain, memory: Memory) -> bool:
    """The next steps are taken, or it is written down why not. True when there is nothing but to wait for a time or a
    person. Raises: Lost."""
    place = look.scene.place
    try:
        if look.error:
            await _wait(ctx, look, look.error, drain, memory)
            return True
        tidied = [await apply.tidy(ctx, group) for group in look.mine.values()]
        if any([*tidied, await release_jobs.look(ctx, look.scene, look.jobs)]):
            drain.staying.append(f"{place.app} in {place.environment} is being tidied")
            return False
        running = look.running or (await _seen(ctx, look.scene, look.mine.values())).running
        steps = plan(_around(look, running, drain), running).steps
        for step in steps:
            await _take(ctx, look, step, memory)
        return {step.kind for step in steps} == {"pause"}
    except deployments.Lost:
        raise
    except errors.Invalid as error:
        drain.staying.append(str(error))
        await _refuse(ctx, place, error)
    except errors.PierError as error:
        drain.staying.append(str(error))
        await _say(ctx, place.moving, Step("wait", place.app, str(error)), memory)
        _log.warning("A step was not taken: %s", error, extra={"app": place.app, "environment": place.environment})
    return False


async def _wait(ctx: Context, look: _Look, error: errors.PierError, drain: _Drain, memory: Memory) -> None:
    """Nothing is done while it cannot be seen what runs, but a deployment ends. Raises: Lost."""
    place = look.scene.place
    drain.staying.append(str(error))
    _log.warning("What runs is not seen: %s", error, extra={"app": place.app, "environment": place.environment})
    for step in unseen(look.target, str(error)).steps if look.target else ():
        await _take(ctx, look, step, memory)


def _around(look: _Look, running: Sequence[Running], drain: _Drain) -> Target | None:
    """The target as it is while nodes are being drained."""
    target = look.target
    if target is None or not drain.nodes:
        return target
    group, seen = look.mine.get(target.name), next((one for one in running if one.name == target.name), None)
    if why := leaving.reason(target, group, seen, drain.nodes):
        drain.staying.append(why)
    return leaving.raised(target, group, seen, drain.nodes)


async def _target(ctx: Context, scene: Scene, memory: Memory, jobs: Sequence[Member]) -> Target | None:
    moving, now = scene.place.moving, clock.now()
    progress = memory.progress.setdefault(moving.id, now) if moving else now
    receipt = await memory.receipts.of(ctx, moving) if moving else Receipt()
    return aim(scene, Clock(now, progress), receipt, release_jobs.running(scene, jobs))


def _is_settled(target: Target | None, mine: Mapping[str, Group]) -> bool:
    """The engine has what is wanted, and nothing else."""
    wanted = [(target.name, target.replicas)] if target else []
    return [(group.name, group.replicas) for group in mine.values()] == wanted and not any(
        group.spent or any(member.taken_ports for member in group.members) for group in mine.values()
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    running: Sequence[Running]
    traffic: Traffic


async def _seen(ctx: Context, scene: Scene, mine: Iterable[Group]) -> _Seen:
    found = {group.name: (group, await _release_of(ctx, group)) for group in mine}
    known = [release for _, release in found.values() if release]
    seen = await observe.traffic(ctx, [*known, scene.target] if scene.target else known)
    running = [
        observe.running(group, release.spec if release else None, seen, scene.since)
        for group, release in found.values()
    ]
    return _Seen(running, seen)


async def _release_of(ctx: Context, group: Group) -> Release | None:
    service = group.members[0].service
    number = service.labels.get(Label.RELEASE, "").removeprefix("v")
    app, environment = instances.place(service.labels)
    return await releases.numbered(ctx, app, environment, int(number)) if number.isdecimal() else None


async def _take(ctx: Context, look: _Look, step: Step, memory: Memory) -> None:
    moving = look.scene.place.moving
    if moving and step.kind in ("done", "fail", "share"):
        await memory.receipts.keep(ctx, moving)
    if step.kind == "done" and moving:
        if await deployments.succeeded(ctx, moving, f"{step.target}: {step.cause}"):
            _log.info("Deployed: %s.", step)
    elif step.kind == "fail" and moving:
        await _fail(ctx, moving, step, look.mine.get(step.target))
    else:
        await _say(ctx, moving, step, memory)
        await _carry_out(ctx, look, step)
        if moving and step.kind != "wait":
            memory.progress[moving.id] = clock.now()


async def _carry_out(ctx: Context, look: _Look, step: Step) -> None:
    moving = look.scene.place.moving
    if step.kind == "share" and moving:
        await deployments.shared(ctx, moving.id, step.data)
        _log.info("Took a step: %s.", step)
    elif step.kind not in _WAITING:
        await apply.step(ctx, step, look.scene.target, look.mine)


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
    """It is in the journal before it is taken: a server that dies in between leaves no step that nobody knows of."""
    text = str(step)
    if moving and memory.said.get(moving.id) != text:
        memory.said[moving.id] = text
        told = f"{step.target}: {step.cause}" if step.cause else step.target
        await deployments.stepped(ctx, moving.id, step.kind, told, step.cause if step.kind in _WAITING else "")


async def _end(ctx: Context, services: Sequence[Service], there: Cluster) -> bool:
    """What runs of an app that was removed is drained and removed."""
    known = groups(services, there.tasks)
    for step in plan(None, [observe.running(group, None, Traffic()) for group in known.values()]).steps:
        await apply.step(ctx, step, None, known)
    return True
