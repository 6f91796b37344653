"""What each strategy promises, in every state that deployments, scalings, failures and cancels can lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pierhead.model.app import Stage, Strategy
from pierhead.release.picture import Running, Target
from pierhead.release.plan import FAILURES_LIMIT, plan

SECOND = timedelta(seconds=1)
STAGES = {Strategy.CANARY: (Stage(10, 2 * SECOND), Stage(50, SECOND)), Strategy.BLUE_GREEN: (Stage(0, 2 * SECOND),)}
SHIFTED = (Strategy.CANARY, Strategy.BLUE_GREEN)
LOOKS = 400


@dataclass
class Service:
    """An engine service: so many that start, are ready, and leave."""

    replicas: int
    starting: int = 0
    ready: int = 0
    leaving: int = 0
    is_broken: bool = False
    failures: int = 0

    def converge(self) -> None:
        """The engine starts and stops as it was asked to; those that are not ready go first."""
        self.starting += max(0, self.replicas - self.starting - self.ready)
        while self.starting + self.ready > self.replicas:
            if self.starting:
                self.starting -= 1
            else:
                self.ready, self.leaving = self.ready - 1, self.leaving + 1

    @property
    def alive(self) -> int:
        return self.starting + self.ready + self.leaving


@dataclass
class Environment:
    strategy: Strategy
    replicas: int
    step: int
    watch: timedelta
    services: dict[str, Service] = field(default_factory=dict)
    current: str = "v1"
    target: str | None = None
    share: int | None = None
    applied: int | None = None
    """The share that the gateways have carried out."""
    held: timedelta = timedelta()
    moving: timedelta = timedelta()

    def weight(self, name: str) -> bool:
        """Requests can go to that release."""
        if self.target is None or self.applied is None:
            return True
        return self.applied > 0 if name == self.target else self.applied < 100

    def look(self, most: int | None = None) -> list[str]:
        """The next steps are taken, or the first `most` of them. Returns the text of those that were."""
        wanted = Target(
            name=self.target or self.current,
            replicas=self.replicas,
            strategy=self.strategy,
            step=self.step,
            moving=self.moving if self.target else None,
            base=self.current,
            stages=STAGES.get(self.strategy, ()),
            watch=self.watch,
            share=self.share,
            held=self.held,
        )
        taken = plan(wanted, [self._seen(name) for name in self.services]).steps[:most]
        for one in taken:
            self._take(one.kind, one.target, one.data)
        return [str(one) for one in taken]

    def _seen(self, name: str) -> Running:
        one = self.services[name]
        serving = one.ready if self.weight(name) else 0
        return Running(
            name, one.replicas, one.alive, one.ready, attached=one.ready, serving=serving, failures=one.failures
        )

    def _take(self, kind: str, name: str, data: int) -> None:
        if kind == "create":
            assert name not in self.services
            self.services[name] = Service(data)
        elif kind == "scale":
            self.services[name].replicas = data
        elif kind == "remove":
            assert not self.services[name].alive
            del self.services[name]
        elif kind == "share":
            self.share, self.held = data, timedelta()
        elif kind == "done":
            self.current = name
            self.end()
        elif kind == "fail":
            self.end()
        if kind not in ("wait", "done", "fail"):
            self.moving = timedelta()
        for one in self.services.values():
            one.converge()

    def end(self) -> None:
        self.target, self.share, self.applied, self.moving = None, None, None, timedelta()

    @property
    def serving(self) -> int:
        return sum(one.ready for name, one in self.services.items() if self.weight(name))


class Deployments(RuleBasedStateMachine):
    """Releases follow one another while everything happens at its own pace."""

    strategies: tuple[Strategy, ...] = ()

    @rule(data=st.data())
    @precondition(lambda self: not hasattr(self, "here"))
    def begin(self, data: st.DataObject) -> None:
        replicas = data.draw(st.integers(1, 5))
        self.here = Environment(
            data.draw(st.sampled_from(self.strategies)),
            replicas,
            step=data.draw(st.integers(1, 3)),
            watch=data.draw(st.sampled_from([timedelta(), 2 * SECOND])),
        )
        self.here.services["v1"] = Service(replicas, ready=replicas)
        self.number, self.floor, self.ceiling = 1, replicas, replicas
        self.broken: set[str] = set()

    @rule(is_broken=st.booleans())
    @precondition(lambda self: hasattr(self, "here") and self.is_at_rest())
    def deploy(self, is_broken: bool) -> None:
        here = self.here
        self.move_on(is_broken)
        self.floor = min(here.serving, here.replicas)
        self.ceiling = max(here.replicas, sum(one.replicas for one in here.services.values()))

    @rule(is_broken=st.booleans())
    @precondition(lambda self: hasattr(self, "here") and self.here.target)
    def supersede(self, is_broken: bool) -> None:
        """A newer deployment takes the place of one that has not ended."""
        self.move_on(is_broken)

    def move_on(self, is_broken: bool) -> None:
        self.number += 1
        self.here.end()
        self.here.target = f"v{self.number}"
        self.broken |= {self.here.target} if is_broken else set()

    @rule(replicas=st.integers(1, 5))
    @precondition(lambda self: hasattr(self, "here") and self.here.strategy in (Strategy.ROLLING, *SHIFTED))
    def scale(self, replicas: int) -> None:
        self.here.replicas = replicas
        self.floor, self.ceiling = min(self.floor, replicas), max(self.ceiling, replicas)

    @rule()
    @precondition(lambda self: hasattr(self, "here") and self.here.target)
    def cancel(self) -> None:
        self.here.end()

    @rule()
    @precondition(lambda self: hasattr(self, "here"))
    def look(self) -> None:
        self.here.look()

    @rule(most=st.integers(0, 2))
    @precondition(lambda self: hasattr(self, "here"))
    def die(self, most: int) -> None:
        """The server is killed between two steps; the next one knows only what is written down."""
        self.here.look(most)
        self.here.moving = timedelta()

    @rule()
    @precondition(lambda self: hasattr(self, "here"))
    def start(self) -> None:
        """One instance becomes ready; of a broken release it ends instead."""
        for name, one in self.here.services.items():
            if one.starting and name in self.broken:
                one.failures += 1
            elif one.starting:
                one.starting, one.ready = one.starting - 1, one.ready + 1

    @rule()
    @precondition(lambda self: hasattr(self, "here"))
    def leave(self) -> None:
        for one in self.here.services.values():
            one.leaving = max(0, one.leaving - 1)

    @rule()
    @precondition(lambda self: hasattr(self, "here"))
    def route(self) -> None:
        self.here.applied = self.here.share

    @rule()
    @precondition(lambda self: hasattr(self, "here"))
    def pass_time(self) -> None:
        self.here.held += SECOND
        self.here.moving += SECOND

    def superseded(self) -> int:
        """Instances asked for by deployments that were superseded; the next look leaves none that is not needed."""
        names = (self.here.current, self.here.target)
        return sum(one.replicas for name, one in self.here.services.items() if name not in names)

    def is_at_rest(self) -> bool:
        here = self.here
        mine = here.services.get(here.current)
        return here.target is None and set(here.services) == {here.current} and bool(mine and mine.ready)

    @invariant()
    def keeps_its_promise(self) -> None:
        if not hasattr(self, "here"):
            return
        here, replicas = self.here, sum(one.replicas for one in self.here.services.values())
        alive = [name for name, one in here.services.items() if one.alive or one.replicas]
        if here.strategy is Strategy.STOP_FIRST:
            assert len(alive) <= 1
        elif here.strategy is Strategy.ONE_AT_A_TIME:
            assert here.serving >= self.floor - 1
            assert sum(one.alive for one in here.services.values()) <= self.ceiling
        else:
            assert here.serving >= min(self.floor, here.replicas)
        if here.target and here.strategy not in (Strategy.STOP_FIRST, Strategy.ONE_AT_A_TIME):
            most = 2 * self.ceiling if here.strategy in SHIFTED else self.ceiling + here.step
            assert replicas - self.superseded() <= most
            assert self.superseded() <= 2 * self.ceiling

    def teardown(self) -> None:
        """Whatever happened, it comes to an end: one release, with as many instances as are wanted."""
        if not hasattr(self, "here"):
            return
        for _ in range(LOOKS):
            for happen in (self.look, self.start, self.leave, self.route, self.pass_time):
                happen()
                self.keeps_its_promise()
            here = self.here
            if self.is_at_rest() and here.services[here.current].ready == here.replicas:
                break
        assert {name: one.replicas for name, one in here.services.items()} == {here.current: here.replicas}
        assert here.target is None


class Rolling(Deployments):
    strategies = (Strategy.ROLLING,)


class Shifted(Deployments):
    strategies = SHIFTED


class Careful(Deployments):
    strategies = (Strategy.STOP_FIRST, Strategy.ONE_AT_A_TIME)


HARD = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestRolling = Rolling.TestCase
TestRolling.settings = HARD
TestShifted = Shifted.TestCase
TestShifted.settings = HARD
TestCareful = Careful.TestCase
TestCareful.settings = HARD


def test_the_simulation_fails_a_broken_release() -> None:
    here = Environment(Strategy.ROLLING, 2, 1, timedelta(), {"v1": Service(2, ready=2)}, target="v2")
    here.look()
    here.services["v2"].failures = FAILURES_LIMIT
    here.look()
    assert (here.target, here.current) == (None, "v1")
