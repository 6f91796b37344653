"""What every use case needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from pierhead.control.channels import Channels
from pierhead.control.keyring import Keyring
from pierhead.kit.tasks import Broadcast, Signal
from pierhead.model.app import Domains
from pierhead.settings import Settings, values
from pierhead.store.session import Store
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways


@dataclass(frozen=True, slots=True)
class Context:
    store: Store
    settings: Settings
    owner: str
    """This server's identity, the same after a restart: what it had claimed it may go on with at once."""
    keys: Keyring
    """What secrets are sealed with; from a file beside the database, never in it."""
    engine: Engine
    """The engine of this machine, a manager of the swarm."""
    catalog: Consul
    gateways: Gateways
    certificate_keys: Keyring
    """What the keys of certificates are sealed with in the catalog; gateways have the same file."""
    registry_quiet: asyncio.Lock = field(default_factory=asyncio.Lock)
    """While somebody holds it no build begins: what no image names is being removed from the registry."""
    registry_window: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Within it the embedded registry takes no uploads, whoever they are from."""
    channels: Channels = field(default_factory=Channels)
    build_wanted: Signal = field(default_factory=Signal)
    rotation_wanted: Signal = field(default_factory=Signal)
    release_wanted: Signal = field(default_factory=Signal)
    journal_grew: Broadcast = field(default_factory=Broadcast)

    @property
    def domains(self) -> Domains:
        """Where the names of apps end in this cluster."""
        return Domains(self.settings.domain, dict(values.pairs(self.settings.domains)))
