"""What an agent is told when it is started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pierhead.wire.consul.tls import Tls

NO_ENGINE = "none"


@dataclass(frozen=True, slots=True)
class Options:
    engine: str
    """Address of the engine's API: `unix:///var/run/docker.sock`. `NO_ENGINE`: this machine has none."""
    catalog_url: str
    advertise: str
    """The address that is registered for ports that are published on every address, and for the host network."""
    data: Path
    """The folder that keeps the node's identity and what was being drained."""
    catalog_token: str = ""
    catalog_tls: Tls | None = None
    advertise_ipv6: str = ""
    """The address for ports that are published on every IPv6 address and on no IPv4 one. Empty: they are left out."""
    node_name: str = ""
    """Empty: the name it had before; at the first start the machine's host name."""
    mount: Path | None = None
    """The folder that containers see as `/.pier`. None: `dot_pier` in the data folder."""
    cluster: str = "pier"
    """Containers with this value of `pier.cluster` are Pierhead's own; those with another one are left alone."""
    look: timedelta = timedelta(seconds=3)
    """How often the catalog is compared with what it should hold."""
    listing: timedelta = timedelta(seconds=30)
    """How often the engine's containers are listed, beside its events."""
    services: Path = Path("/etc/pierhead/services.d")
    """The folder of the files that declare host services."""
    services_look: timedelta = timedelta(milliseconds=500)
    """How often that folder is looked at."""

    @property
    def has_engine(self) -> bool:
        return self.engine != NO_ENGINE
