"""One environment as a plan sees it: where it is to go, how far it is, and which requests go where meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pierhead.control.apps import Place
from pierhead.model import receipt as receipts
from pierhead.model.app import Strategy
from pierhead.model.receipt import Receipt
from pierhead.model.release import Release, engine_name
from pierhead.model.route import REST
from pierhead.release.picture import Hook, Running, Target

SUCCEEDED = "succeeded"
PRE, POST = "pre_deploy", "post_deploy"


@dataclass(frozen=True, slots=True)
class Scene:
    place: Place
    target: Release | None
    cluster: str

    @property
    def known(self) -> list[Release]:
        """The release that is to run and the one that the environment has, the newest first."""
        current = self.place.release
        return [one for one in (self.target, current if current != self.target else None) if one]

    @property
    def since(self) -> datetime | None:
        """Instances that ended before are not counted against the release."""
        moving, target = self.place.moving, self.target
        if moving and target and moving.share == 100 and target.spec.deploy.watch:
            return moving.share_at
        return moving.created_at if moving else None


@dataclass(frozen=True, slots=True)
class Clock:
    """What time has passed."""

    now: datetime
    progress: datetime
    """When the deployment last got further."""


def target(scene: Scene, clock: Clock, receipt: Receipt, running_hooks: Sequence[str] = ()) -> Target | None:
    """What is to run. `running_hooks`: those whose container is there."""
    place, release, moving = scene.place, scene.target, scene.place.moving
    if release is None:
        return None
    deploy = release.spec.deploy
    wanted = place.wanted_replicas
    found = Target(
        name=_name(scene, release),
        replicas=release.spec.replicas if wanted is None else wanted,
        strategy=_strategy(scene.known),
        step=deploy.step,
        deadline=deploy.deadline,
        base=_name(scene, place.release) if place.release else "",
    )
    if moving is None:
        return found
    return Target(
        **{name: getattr(found, name) for name in ("name", "replicas", "strategy", "step", "deadline", "base")},
        moving=clock.now - clock.progress,
        stages=deploy.stages,
        watch=deploy.watch,
        share=moving.share,
        held=clock.now - moving.share_at if moving.share_at else timedelta(),
        is_continued=moving.continued is not None and moving.continued == moving.share,
        verdict=receipts.verdict(receipt, release.name, deploy.gate),
        undecided=receipts.undecided(receipt, release.name, deploy.gate),
        age=clock.now - moving.created_at,
        blocked=place.blocked,
        before=hook(scene, PRE, running_hooks),
        after=hook(scene, POST, running_hooks),
        hook_error=next((said for said in moving.hooks.values() if said != SUCCEEDED), ""),
    )


def hook(scene: Scene, name: str, running_hooks: Sequence[str]) -> Hook:
    """How far that hook is. Going back runs none: what an older release did before need not hold now."""
    moving, release = scene.place.moving, scene.target
    if moving is None or release is None or moving.kind == "rollback":
        return Hook.NONE
    if not getattr(release.spec.deploy.hooks, name):
        return Hook.NONE
    said = moving.hooks.get(name)
    if said is not None:
        return Hook.NONE if said == SUCCEEDED else Hook.FAILED
    return Hook.RUNS if name in running_hooks else Hook.DUE


def weights(scene: Scene, running: Sequence[Running]) -> Mapping[str, int]:
    """Release → its share of the requests; empty: every instance counts the same.

    A side that has no instance gets no share, whatever is planned: somebody must answer.
    """
    release, moving = scene.target, scene.place.moving
    if release is None:
        return {}
    mine = next((one for one in running if one.name == _name(scene, release)), None)
    others = sum(one.ready for one in running if one is not mine)
    if moving is None:
        wanted = scene.place.replicas
        is_back = mine is not None and len(running) > 1 and mine.ready >= wanted > 0
        return {release.name: 100, REST: 0} if is_back else {}
    is_served = {0: bool(others), 100: mine is not None and bool(mine.ready)}
    if moving.share is None or not is_served.get(moving.share, True):
        return {}
    return planned(scene)


def planned(scene: Scene) -> Mapping[str, int]:
    """The shares that were written down last: they hold while it cannot be seen who has instances."""
    release, moving = scene.target, scene.place.moving
    if release is None or moving is None or moving.share is None:
        return {}
    return {release.name: moving.share, REST: 100 - moving.share}


def routed(scene: Scene, there: Collection[str], before: Hook) -> list[Release]:
    """The releases whose names lead to the environment, the newest first; `there`: the engine services that it has.

    One that must not begin yet, or whose first hook has not succeeded, changes nothing of them.
    """
    waits = scene.place.moving and (scene.place.blocked or before is not Hook.NONE)
    held = scene.target if scene.target and waits and _name(scene, scene.target) not in there else None
    return [one for one in scene.known if one is not held]


def preview(scene: Scene, releases: Collection[Release]) -> Release | None:
    """The release, one of these, that is found at its preview host."""
    is_green = scene.target and scene.target.spec.deploy.strategy is Strategy.BLUE_GREEN
    return scene.target if scene.place.moving and is_green and scene.target in releases else None


def _strategy(releases: Sequence[Release]) -> Strategy:
    """The newest one's, unless one of them must not run beside another."""
    found = [release.spec.deploy.strategy for release in releases]
    return Strategy.STOP_FIRST if Strategy.STOP_FIRST in found else found[0]


def _name(scene: Scene, release: Release) -> str:
    return engine_name(scene.cluster, release.app, release.environment, release.number)
