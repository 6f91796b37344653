"""The agent of one node: the catalog says what the engine runs.

Events are hints. Whatever happens to a container, or to what the catalog holds of it, leads to one call: `_settle`,
which looks at the container, plans, and applies; never twice at once for one container. An engine or a catalog that
does not answer is unknown, not empty: nothing is removed, and everything is looked at again when it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pierhead.agent import address, apply, host, identity, lines, listener, observe, plan
from pierhead.agent.claim import Claim
from pierhead.agent.damping import Damping, Run
from pierhead.agent.dot_pier import DotPier
from pierhead.agent.drains import Drain
from pierhead.agent.endpoint import Endpoint, Held, Node
from pierhead.agent.health import Health
from pierhead.agent.hosts import Hosts
from pierhead.agent.mirror import Mirror
from pierhead.agent.options import Options
from pierhead.agent.probers import Probers
from pierhead.agent.probes import Means
from pierhead.agent.stopping import Places, Stopping
from pierhead.kit import errors, tasks
from pierhead.kit.backoff import Backoff
from pierhead.kit.keyed import Keyed
from pierhead.model import dot_pier
from pierhead.model.instance import Meta, is_host
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import events
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.containers import Container

log = logging.getLogger(__name__)

_ACTIONS = ("start", "die", "destroy", "kill", "pause", "unpause", "health_status", "rename")
_FILTERS = {"type": ["container"], "event": _ACTIONS}
_MEMORY = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""At its start the agent is told all events that the engine still knows: a stop that was asked for meanwhile is one."""
_UNHEARD = "not heard yet"
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""When a host service was started: nobody but its owner knows."""
_FAREWELL = timedelta(seconds=2)
Beside = Callable[[Node], Coroutine[Any, Any, None]]


async def run(
    options: Options, tell: Callable[[str], None] = lambda problem: None, beside: Beside | None = None
) -> None:
    """The catalog holds the endpoints of the engine's containers, until this is cancelled; they stay registered.

    `tell` hears what is in the way, and an empty text when all is well. `beside` works for the same node meanwhile.
    Raises: Conflict (another agent has this data folder or this identity), Invalid (the data folder is damaged).
    """
    with identity.held(options.data), lines.opened() as opened:
        node = identity.node(options)
        async with (
            Engine(options.engine) as engine,
            Consul(options.catalog_url, options.catalog_token, tls=options.catalog_tls) as consul,
        ):
            try:
                async with asyncio.TaskGroup() as group:
                    if beside:
                        group.create_task(beside(node), name="beside")
                    _Agent(options, node, consul, Means(engine, opened), group, tell).begin()
            except ExceptionGroup as failures:
                raise _first(failures) from failures


class _Agent:
    def __init__(
        self,
        options: Options,
        node: Node,
        consul: Consul,
        means: Means,
        group: asyncio.TaskGroup,
        tell: Callable[[str], None],
    ) -> None:
        self._options, self._node, self._engine, self._consul, self._group = options, node, means.engine, consul, group
        self._tell = tell
        self._problems = {"catalog": _UNHEARD, "services": ""}
        self._mirror = Mirror()
        self._reader = observe.Reader(consul, node)
        self._target = apply.Target(consul, node, self._mirror)
        self._dot_pier = DotPier(options.mount or options.data / dot_pier.FOLDER)
        self._is_swept = False
        self._states: dict[str, str] = {}
        """What the engine's listing is expected to show: container id → state."""
        self._unsettled: set[str] = set()
        self._refused: dict[str, str] = {}
        self._contested: set[str] = set()
        """Containers that want an id which another one has."""
        self._look = tasks.Signal()
        self._workers = Keyed(group, self._settle)
        self._probers = Probers(group, means, self._workers.submit)
        self._damping = Damping()
        self._claim = Claim(node, options.data)
        self._stopping = Stopping(Places(means.engine, consul, options.data), self._beside)
        self._hosts = Hosts(options.services, options.data, consul, self._beside)

    def begin(self) -> None:
        if self._options.has_engine:
            self._problems["engine"] = _UNHEARD
            self._dot_pier.prepare()
            self._group.create_task(self._follow_engine(), name="engine")
        self._group.create_task(self._follow_catalog(), name="catalog")
        self._group.create_task(self._follow_services(), name="services")

    def _say(self, part: str, problem: str) -> None:
        if self._problems[part] == problem:
            return
        before, self._problems[part] = self._problems[part], problem
        if part != "services" and not problem:
            log.info("Hears the %s.", part)
        elif part != "services" and before in ("", _UNHEARD):
            log.warning("Does not hear the %s: %s", part, problem)
        self._tell("; ".join(f"{name}: {text}" for name, text in self._problems.items() if text))

    # The engine

    async def _follow_engine(self) -> None:
        backoff, last = Backoff(limit=timedelta(seconds=5)), _MEMORY
        while True:
            try:
                async with events.watch(self._engine, _FILTERS, last) as seen:
                    self._stopping.asked(await observe.leaving(self._engine, self._node))
                    await self._list(everything=True)
                    backoff.succeeded()
                    self._say("engine", "")
                    last = await self._hear(seen, last)
                problem = "it closed the connection"
            except errors.PierError as error:
                problem = error.message
            self._say("engine", problem)
            await asyncio.sleep(backoff.failed())

    async def _hear(self, seen: AsyncIterator[events.Event], last: datetime) -> datetime:
        """The moment of the last event, once the engine hangs up."""
        listing = self._group.create_task(self._list_again())
        try:
            async for event in seen:
                last = max(last, event.at)
                if event.action == "kill":
                    self._stopping.hear(event)
                self._workers.submit(event.id)
        except errors.Unavailable as error:
            log.debug("The stream of events broke.", extra={"problem": error.message})
        finally:
            listing.cancel()
        return last

    async def _list_again(self) -> None:
        """What no event told is found within `options.listing`."""
        while True:
            await asyncio.sleep(self._options.listing.total_seconds())
            with contextlib.suppress(errors.PierError):
                await self._list()

    async def _list(self, *, everything: bool = False) -> None:
        """What differs from what is known (or `everything`) is looked at again. Raises: Unavailable."""
        found = await observe.running(self._engine)
        if not self._is_swept:
            self._dot_pier.keep(found.keys())
            self._is_swept = True
        before, self._states = self._states, found
        known = before.keys() | self._mirror.instances() | self._stopping.ids()
        for container_id in found.keys() | known:
            if everything or found.get(container_id) != before.get(container_id):
                self._workers.submit(container_id)

    # The catalog

    async def _follow_catalog(self) -> None:
        backoff = Backoff(limit=self._options.look)
        try:
            while True:
                try:
                    await self._compare()
                except errors.Conflict:
                    raise
                except errors.PierError as error:
                    self._say("catalog", error.message)
                    await asyncio.sleep(backoff.failed())
                else:
                    self._say("catalog", "")
                    await self._until_next_look(backoff)
        finally:
            await self._leave()

    async def _until_next_look(self, backoff: Backoff) -> None:
        """Sooner when something could not be written."""
        if await self._look.wait(self._options.look):
            await asyncio.sleep(backoff.failed())
        else:
            backoff.succeeded()

    async def _compare(self) -> None:
        """What the catalog holds otherwise than expected, or could not be told, is settled again."""
        await self._claim.keep(self._consul)
        await self._claim.tell(self._consul, self._problems["services"])
        version, is_first = self._mirror.version, not self._mirror.is_known
        differs = self._mirror.read(await self._reader.held(), version)
        again, self._unsettled = differs | self._unsettled, set()
        for instance in again | set((*self._states, *self._hosts) if is_first else ()):
            self._workers.submit(instance)

    async def _leave(self) -> None:
        """The next agent of this node need not wait for the claim to lapse."""
        with contextlib.suppress(errors.PierError, TimeoutError):
            async with asyncio.timeout(_FAREWELL.total_seconds()):
                await self._claim.leave(self._consul)

    # The host services

    async def _follow_services(self) -> None:
        while True:
            try:
                for instance in await self._hosts.look():
                    self._workers.submit(instance)
                self._say("services", self._hosts.tell(self._mirror.of, self._refused))
            except OSError as error:
                self._say("services", f"the data folder {self._options.data}: {error.strerror or error}")
            await asyncio.sleep(self._options.services_look.total_seconds())

    async def _settle_host(self, instance: str) -> None:
        """What a file declares is registered; what leaves is drained first."""
        if not self._mirror.is_known or not self._hosts.knows(instance):
            self._unsettled.add(instance)
            return
        if service := self._hosts.stays(instance):
            endpoint = host.endpoint(self._node, service)
            if rival := host.rival(endpoint, self._mirror.all()):
                raise errors.Conflict(
                    f"{rival.id} is at port {endpoint.port} already.", hint="One of the two is wrong."
                )
            passing = plan.passing([endpoint], self._mirror.of(instance))
            seen = self._probers.keep(instance, _ALWAYS, [endpoint], passing)
            await self._reconcile(instance, self._calm(Run(instance, _ALWAYS), [host.wanted(endpoint, seen)]))
        else:
            await self._settle_leaving(instance)
        self._refused.pop(instance, None)

    async def _settle_leaving(self, instance: str) -> None:
        self._probers.stop(instance)
        leaving = host.leaving(self._mirror.of(instance))
        if leaving and not self._hosts.is_drained(instance):
            await self._reconcile(instance, leaving)
            self._hosts.drain(instance, [one.endpoint for one in leaving], self._workers.submit)
        else:
            await self._reconcile(instance, [])
            self._damping.ended(instance, asyncio.get_running_loop().time(), was_asked=True)
            self._hosts.gone(instance)

    # One container

    async def _settle(self, instance: str) -> None:
        """The catalog says what the container, or host service, is now, or will soon."""
        if is_host(instance):
            await self._guarded(instance, self._settle_host(instance))
        elif self._options.has_engine:
            await self._guarded(instance, self._settle_now(instance))

    def _beside(self, container_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(self._guarded(container_id, work))

    async def _guarded(self, container_id: str, work: Coroutine[Any, Any, None]) -> None:
        """What fails for one container is tried again when the catalog is next looked at; everybody else goes on."""
        try:
            await work
        except errors.Unavailable as error:
            log.debug("Not settled yet.", extra={"container": container_id, "problem": error.message})
            self._unsettled.add(container_id)
            self._look.set()
        except errors.PierError as error:
            if self._refused.get(container_id) != error.message:
                log.warning("Not registered: %s", error, extra={"container": container_id[:12]})
            self._refused[container_id] = error.message
            self._unsettled.add(container_id)
        except Exception:
            log.exception("A container could not be settled.", extra={"container": container_id[:12]})
            self._unsettled.add(container_id)

    async def _settle_now(self, container_id: str) -> None:
        found = await observe.container(self._engine, container_id)
        if found is None or not found.running:
            await self._ended(container_id)
            return
        self._states[container_id] = "paused" if found.paused else "running"
        if not plan.is_own(self._node, found):
            await self._settle_foreign(found)
        elif draining := await self._stopping.drain_of(found):
            await self._settle_draining(found, draining)
        else:
            endpoints = plan.endpoints(self._node, found)
            self._dot_pier.publish(self._node, found, endpoints)
            await self._tell_catalog(found, endpoints)
        self._refused.pop(container_id, None)

    async def _settle_foreign(self, container: Container) -> None:
        """One whose stop signal was sent is deregistered, and comes back when it survives that."""
        left = self._stopping.leaves_for(container)
        await self._tell_catalog(container, [] if left else plan.endpoints(self._node, container))
        if left:
            self._group.create_task(self._settle_later(container.id, left))

    async def _settle_draining(self, container: Container, draining: Drain) -> None:
        """Nobody is sent there any more, and the app ends when nobody is left; with or without the catalog."""
        self._probers.stop(container.id)
        endpoints = plan.readable_endpoints(self._node, container)
        try:
            await self._reconcile(container.id, plan.wanted(container, endpoints, {}, is_draining=True))
        finally:
            self._stopping.proceed(container, endpoints, draining)

    async def _tell_catalog(self, container: Container, endpoints: list[Endpoint]) -> None:
        if self._mirror.is_known:
            seen = self._probed(container, endpoints)
            wanted = plan.wanted(container, endpoints, seen, is_draining=False)
            if container.network == address.HOST:
                strangers = await asyncio.to_thread(listener.strangers, container, endpoints)
                wanted = plan.without_strangers(wanted, strangers)
                self._unsettled |= {container.id} if strangers else set()
            run = Run(container.id, container.started_at, self._stopping.was_asked(container.id))
            await self._reconcile(container.id, self._calm(run, wanted))

    def _calm(self, run: Run, wanted: list[plan.Wanted]) -> list[plan.Wanted]:
        """What may be told of it now; it is settled again when that is different."""
        told, wait = self._damping.calm(run, wanted, self._mirror.get, asyncio.get_running_loop().time())
        if wait is not None:
            self._group.create_task(self._settle_later(run.instance, wait))
        return told

    async def _settle_later(self, instance: str, wait: timedelta) -> None:
        await asyncio.sleep(wait.total_seconds())
        self._workers.submit(instance)

    def _probed(self, container: Container, endpoints: list[Endpoint]) -> Mapping[str, Health]:
        passing = plan.passing(endpoints, self._mirror.of(container.id))
        return self._probers.keep(container.id, container.started_at, endpoints, passing)

    async def _reconcile(self, container_id: str, wanted: list[plan.Wanted]) -> None:
        if not self._mirror.is_known:
            return
        there = [known for one in wanted if (known := self._mirror.get(one.endpoint.id))]
        rivals = {known.id for known in there if self._is_rival(container_id, known)}
        held = {known.id: known for known in [*there, *self._mirror.of(container_id)] if known.id not in rivals}
        steps = plan.plan([one for one in wanted if one.endpoint.id not in rivals], list(held.values()))
        await apply.apply(self._target, steps)
        if rivals:
            self._contested.add(container_id)
            raise errors.Conflict(f"Another container has {', '.join(sorted(rivals))}.", hint="Give one a SERVICE_ID.")

    def _is_rival(self, container_id: str, held: Held) -> bool:
        """Another container that runs has this id: who was first keeps it."""
        owner = held.meta.get(Meta.INSTANCE, "")
        return owner != container_id and (owner in self._states or owner in self._hosts)

    async def _ended(self, container_id: str) -> None:
        """It does not run: the catalog has nothing of it, and nothing is remembered of it."""
        self._probers.stop(container_id)
        now, was_asked = asyncio.get_running_loop().time(), self._stopping.was_asked(container_id)
        self._damping.ended(container_id, now, was_asked=was_asked)
        self._stopping.ended(container_id)
        for memory in (self._states, self._refused):
            memory.pop(container_id, None)
        self._dot_pier.withdraw(container_id)
        await self._reconcile(container_id, [])
        again, self._contested = self._contested - {container_id}, set()
        for other in again:
            self._workers.submit(other)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """The one that ended the others."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
