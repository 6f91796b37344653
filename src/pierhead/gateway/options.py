"""What a gateway is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pierhead.wire.consul.tls import Tls


@dataclass(frozen=True, slots=True)
class Options:
    name: str
    """Under which it appears in the catalog."""
    catalog_url: str
    host: str
    """Address that HAProxy listens on."""
    http_port: int
    admin_host: str
    """Address of the status API; other machines must reach it."""
    admin_port: int
    data: Path
    catalog_token: str = ""
    catalog_tls: Tls | None = None
    haproxy: str = "haproxy"
    connection_limit: int = 10000
    drain_limit: timedelta = timedelta(minutes=15)
    """How long a worker that was replaced by a reload may finish its connections."""
    keep: bool = True
    """HAProxy goes on serving when `run` is cancelled."""
    https_port: int = 0
    """0: no HTTPS."""
    certificates: Path | None = None
    """The folder of certificates of this machine."""
    certificate_key: Path | None = None
    """The file with the key that the catalog's certificates are sealed with."""
    default_certificate: str = ""
    """The certificate for names that none is for; empty: one that the gateway makes itself."""
    pages: Path | None = None
    """The folder of pages that replace the gateway's own."""
    trusted: tuple[str, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    proxies: tuple[str, ...] = ()
    """Networks of load balancers that send a PROXY header."""
    access_log: Path | None = None
    """The file of requests, a JSON object a line; None: none."""
    access_log_bytes: int = 256 << 20
    """With more the file begins anew, and what it held is beside it. 0: never."""
    access_syslog: str = ""
    """Where requests are sent as syslog: the path of a socket, or `host:port` for UDP; empty: nowhere."""

    @property
    def certificates_kept(self) -> Path:
        """The catalog's certificates as they were last, their keys sealed."""
        return self.data / "certificates.json"

    @property
    def run(self) -> Path:
        """The folder of sockets and of the remembered process."""
        return self.data / "run"

    @property
    def folder(self) -> Path:
        """The folder of haproxy.cfg and its maps."""
        return self.data / "haproxy"

    @property
    def log(self) -> Path:
        return self.data / "haproxy.log"

    @property
    def kept(self) -> Path:
        """The last known state of the catalog."""
        return self.data / "known.jsonl"
