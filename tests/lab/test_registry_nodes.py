"""Every node pulls from a registry that asks who comes, also when the account is replaced: the swarm tells it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lab.agent_lab import until
from tests.lab.two_nodes_lab import IMAGE, engines_of, two_machines

from pierhead.testing import registry
from pierhead.testing.registry import Guard
from pierhead.wire.docker import images, services, tasks
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.images import Credentials
from pierhead.wire.docker.services import ServiceSpec
from pierhead.wire.oci import distribution
from pierhead.wire.oci.access import Account
from pierhead.wire.oci.client import Registry

LABEL = "pier.test"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@contextmanager
def trusted(address: str, file: str) -> Iterator[None]:
    """The engines of this disk trust the registry's authority."""
    folder = Path("/etc/docker/certs.d") / address
    folder.mkdir(parents=True)
    shutil.copy(file, folder / "ca.crt")
    yield
    shutil.rmtree(folder)


def told(account: Account, address: str) -> Credentials:
    return Credentials(account.username, account.password, address)


async def test_the_other_node_pulls_with_the_account_that_its_service_carries(tmp_path: Path) -> None:
    old, new = Account("pier-1", "right-horse"), Account("pier-2", "another-horse")
    with two_machines(secrets.token_hex(2)) as machines:
        guard = Guard(old, host=machines[1].outside)
        async with engines_of(machines) as engines, registry.serving(tmp_path, guard) as address:
            access = guard.access(tmp_path, address)
            with trusted(address, access.ca_file):
                await images.tag(engines[0], IMAGE, f"{address}/app", "1")
                async for _ in images.push(engines[0], f"{address}/app", "1", told(old, address)):
                    pass
                async with Registry(access) as connected:
                    manifest = await connected.manifest("app", "1")
                assert manifest
                there = Service(engines[0], f"{address}/app@{manifest.digest}", machines[1].name)

                await there.create("anonymous", None)
                await there.is_refused("anonymous")
                await there.create("known", told(old, address))
                await there.runs("known", 1)
                before = await there.containers("known")

                (tmp_path / "htpasswd").write_text(distribution.htpasswd([new, old]))
                service = await services.inspect(engines[0], "known")
                await services.tell(engines[0], service, {"mark": "2"}, told(new, address))
                (tmp_path / "htpasswd").write_text(distribution.htpasswd([new]))
                assert await there.containers("known") == before, "what runs is left alone"
                await images.remove(engines[1], there.image, force=True)
                await services.scale(engines[0], await services.inspect(engines[0], "known"), 2)
                await there.runs("known", 2)
                assert before <= await there.containers("known")


class Service:
    """Engine services of one image on one node."""

    def __init__(self, manager: Engine, image: str, node: str) -> None:
        self.image = image
        self._manager, self._node = manager, node

    async def create(self, name: str, credentials: Credentials | None) -> None:
        spec = ServiceSpec(
            name,
            self.image,
            1,
            labels={LABEL: name},
            command=["busybox", "sleep", "1000"],
            constraints=[f"node.hostname == {self._node}"],
        )
        await services.create(self._manager, spec, credentials)

    async def containers(self, name: str) -> set[str]:
        return {task.container for task in await tasks.listing(self._manager, {LABEL: name}) if task.is_running}

    async def runs(self, name: str, count: int) -> None:
        async def there() -> bool:
            return len(await self.containers(name)) == count

        await until(there, 90, f"{count} of {name} run")

    async def is_refused(self, name: str) -> None:
        async def there() -> bool:
            return any("No such image" in task.error for task in await tasks.listing(self._manager, {LABEL: name}))

        await until(there, 90, f"{name} is refused")
