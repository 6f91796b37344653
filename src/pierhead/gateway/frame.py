"""What a HAProxy has that does not come from the catalog: where it listens, its files and their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIG, HOSTS, WILDCARDS, SITES = "haproxy.cfg", "hosts.map", "wildcards.map", "sites.map"
NAMES, NAME_WILDCARDS, CERTIFICATES = "names.map", "name-wildcards.map", "certificates.list"
IN_ORDER = (WILDCARDS, NAME_WILDCARDS)
"""Maps of which the first key that matches counts."""
TO_POOLS = (SITES, NAMES, NAME_WILDCARDS)
"""Maps whose values are backends. Those of `HOSTS` are, but for hosts of which the path decides."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What does not come from the catalog."""

    host: str
    http_port: int
    folder: Path
    """Of the file and the maps."""
    run: Path
    """Of the sockets."""
    connections: int
    drain_seconds: int
    has_metrics: bool = True
    https_port: int = 0
    """0: no HTTPS."""
    trusted: tuple[str, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    proxies: tuple[str, ...] = ()
    """Networks whose connections begin with a PROXY header."""
    has_access_log: bool = False

    @property
    def access(self) -> Path:
        """Where HAProxy tells of each HTTP request."""
        return self.run / "access.sock"

    @property
    def inside(self) -> Path:
        """Where connections are opened that are not passed on."""
        return self.run / "https.sock"

    @property
    def worker(self) -> Path:
        return self.run / "worker.sock"

    @property
    def master(self) -> Path:
        return self.run / "master.sock"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.sock"


def page(name: str) -> str:
    return f"page-{name}.html"


def certificate(name: str) -> str:
    return f"certificate-{name}.pem"
