"""Every setting of every process, with its unit, its default and its effect.

Read by `settings.load` from the settings file, then `PIER_*` variables, then flags; unknown keys are errors. The text
under each field is the documentation: `pier config example` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Engine:
    """The Docker Engine of this machine."""

    socket: str = "unix:///var/run/docker.sock"
    """Address of the engine's API."""
    start: str = "auto"
    """`auto`: use the engine that answers at `socket`; where none answers, ask the init system for it, or start
    `dockerd` as a child where there is no init system. `never`: only use what runs."""
    bind_address: str = "127.0.0.1"
    """The host address that container ports are published on by an engine that Pierhead starts. An engine that is
    already there keeps its own (its `--ip`)."""
    advertise: str = ""
    """The address under which other machines reach this one, for the swarm. Empty: the address of the interface that
    holds the default route."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API server, which also serves the console."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 4400
    """TCP port."""
    public_url: str = ""
    """The address under which git servers and browsers reach the API, where a proxy stands before it:
    `https://pier.example.com`. Empty: its own address."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where apps, builds, releases, deployments and sealed secrets are kept."""

    url: str = ""
    """A PostgreSQL, 13 or newer, as libpq reads it: `postgresql://pier@db.example.com/pier?sslmode=verify-full`; the
    database is there and empty, and that user's. Empty: SQLite, `pier.db` in the data folder."""
    password_file: str = ""
    """File that holds the password of its user, read at the start."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The OCI registry that images are pushed to and nodes pull from."""

    host: str = "127.0.0.1"
    """Address that the embedded registry listens on."""
    port: int = 4401
    """TCP port of the embedded registry."""
    cert_file: str = ""
    """File of the certificate (PEM) of the embedded registry, which then speaks https. Empty: http, which engines of
    other machines refuse."""
    key_file: str = ""
    """File of the key (PEM, no passphrase) of `cert_file`."""
    address: str = ""
    """`host:port` of a registry to use instead of the embedded one; `host/folder` where all images are below a folder
    (a project of Harbor). A registry that is not on loopback is spoken to in https."""
    username: str = ""
    """The account at `address`. Empty: none is needed there. The embedded registry has accounts of its own."""
    password_file: str = ""
    """File that holds the password or token of `username`, read whenever it is needed."""
    ca_file: str = ""
    """File of the authorities (PEM) that an https registry's certificate is checked against. Empty: those that this
    machine trusts. The engines of other nodes need it as `/etc/docker/certs.d/<host:port>/ca.crt`."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where services are registered and found: anything that speaks the Consul HTTP API."""

    mode: str = "embedded"
    """`embedded`: Pierhead's own server. `consul`: the one at `url`."""
    host: str = "127.0.0.1"
    """Address that the embedded server listens on."""
    port: int = 8500
    """TCP port of the embedded server."""
    url: str = ""
    """Address of a Consul, `http://127.0.0.1:8500`; only with `mode = "consul"`."""
    token: str = ""
    """The token that every part of Pierhead shows to the catalog. With `mode = "embedded"` it is also the root token:
    with one set, whoever shows no known token is refused. Empty: the embedded server lets everybody do everything."""
    token_file: str = ""
    """File that holds that token, instead of `token`; read at the start."""
    grants_file: str = ""
    """File of tokens that may do less than the root token, for the embedded server; docs/guides/catalog.md shows one.
    Needs a root token. Read at the start."""
    ca_file: str = ""
    """File of the authorities (PEM) that the certificate of an https catalog is checked against. Empty: those that
    this machine trusts."""
    cert_file: str = ""
    """File of the certificate (PEM) that every part of Pierhead shows to an https catalog. Empty: none."""
    key_file: str = ""
    """File of the key (PEM, no passphrase) of `cert_file`."""
    tls_name: str = ""
    """The name that the certificate of an https catalog must hold. Empty: the host of its address."""
    server_cert_file: str = ""
    """File of the certificate (PEM) of the embedded server, which then speaks https and nothing else. Empty: http."""
    server_key_file: str = ""
    """File of the key (PEM, no passphrase) of `server_cert_file`."""
    server_client_ca_file: str = ""
    """File of authorities (PEM): the embedded server then answers only clients with a certificate of theirs."""
    datacenter: str = "dc1"
    """Name of the datacenter that the embedded server answers for."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One HAProxy and its controller."""

    name: str = ""
    """The name under which it appears in the catalog. Empty: `gateway-<node name>`."""
    host: str = "127.0.0.1"
    """Address that HAProxy listens on, for HTTP and for service ports."""
    http_port: int = 8080
    """TCP port for HTTP."""
    https_port: int = 0
    """TCP port for HTTPS. 0: none."""
    certificates: str = ""
    """A folder of certificates, looked at every second: `NAME.pem` with chain and key, or `NAME.crt` and `NAME.key`.
    Empty: only those of `pier certificate`."""
    default_certificate: str = ""
    """Name of the certificate for host names that none is for. Empty: one that the gateway makes itself."""
    certificate_key: str = ""
    """The file with the key that certificates are sealed with in the catalog; the same on servers and gateways. Empty:
    `gateway.key` in the data folder, made by the server."""
    pages: str = ""
    """A folder of pages, looked at every second: `404.html`, `411.html`, `413.html`, `503.html`, `maintenance.html`.
    Empty: the gateway's own."""
    trusted_proxies: str = ""
    """Networks, separated by commas, whose `X-Forwarded-*` headers are believed: load balancers in front. From others
    they are replaced."""
    proxy_protocol: str = ""
    """Networks, separated by commas, whose connections begin with a PROXY header that says who the client is."""
    access_log: str = ""
    """A file that gets a JSON object a line for every HTTP request. Empty: requests are not logged."""
    access_log_bytes: int = 256 << 20
    """The file of requests begins anew when it has more; what it held is in `<file>.1`. 0: never, because something
    else rotates it."""
    access_syslog: str = ""
    """Where the same objects are sent as syslog: the socket of this machine (`/dev/log`), or `host:port` over UDP.
    Empty: nowhere."""
    admin_host: str = "127.0.0.1"
    """Address of the controller's own status API. Agents and servers must reach it."""
    admin_port: int = 4402
    """TCP port of the status API."""
    haproxy: str = "haproxy"
    """The program."""
    connection_limit: int = 10000
    """Most connections at once."""
    drain_limit: timedelta = timedelta(minutes=15)
    """How long a worker that was replaced by a reload may finish its connections (`hard-stop-after`)."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """The DNS server for the names of apps and services."""

    host: str = "127.0.0.1"
    """Address to listen on, UDP and TCP."""
    port: int = 4453
    """Port. 53 where other machines ask it directly."""
    answer: str = ""
    """The address that app names lead to. Empty: the gateway's own `host`."""
    upstream: str = ""
    """`address` or `address:port` that everything else is forwarded to. Empty: the first nameserver of
    `/etc/resolv.conf`."""


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent of this node."""

    node_name: str = ""
    """Name of this node. Empty: the machine's host name at the first start; kept in the data folder from then on."""
    advertise: str = ""
    """The address that is registered for ports published on every address (0.0.0.0). Empty: the address of the
    interface that holds the default route."""
    advertise_ipv6: str = ""
    """The address that is registered for ports published on every IPv6 address and on no IPv4 one. Empty: such ports
    are not registered."""
    services: Path = Path("/etc/pierhead/services.d")
    """The folder of the files that declare services of this machine that are no containers. It need not exist."""
    mount: str = ""
    """The folder of every node that its instances see as `/.pier`: the same path on all nodes of a cluster, kept by
    the agent of each. Empty: `agent/dot_pier` in the data folder."""
    server: str = ""
    """Address of the server that may run commands in this node's containers and read their logs: the agent connects to
    it, `http://server:4400`. Empty: the server of this process."""


@dataclass(frozen=True, slots=True)
class HostPorts:
    """The host ports that Pierhead itself gives to instances (`mode: same`): outside the kernel's ephemeral ports
    (`net.ipv4.ip_local_port_range`) of every node."""

    first: int = 20000
    """The lowest one."""
    last: int = 31999
    """The highest one."""
    quarantine: timedelta = timedelta(minutes=2)
    """How long a port that was given back is given to nobody: whoever still knows it must not reach another app."""


@dataclass(frozen=True, slots=True)
class Build:
    """Where commits become images."""

    concurrency: int = 1
    """Builds that run at once."""
    timeout: timedelta = timedelta(minutes=30)
    """A build that takes longer fails."""
    cpus: float = 0.0
    """Processors that a build container may use. 0: all but half of one, so that builds never starve the apps."""
    memory_bytes: int = 2 << 30
    """Memory that a build container may use."""
    low_free_bytes: int = 5 << 30
    """When the disk of the data folder has less left, every build's log says so."""
    least_free_bytes: int = 1 << 30
    """When it has less left, builds are refused, so that what runs goes on."""
    compression: str = "gzip"
    """Of the layers of images: `gzip`, which all engines read, or `zstd`, which is unpacked faster and needs engine 23
    or newer on every node: builds are refused while one is older. Base images and what Dockerfiles make stay gzip."""
    repository_bytes: int = 2 << 30
    """A repository that has more, with its history, is not built; nor is a commit whose files have more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that one Pierhead process can be told."""

    home: Path = Path("/var/lib/pierhead")
    """The data folder: database, registry, catalog, repositories, logs, tokens."""
    cluster: str = "pier"
    """Name of this cluster. Two clusters on one engine need different names; each touches only what carries its own."""
    domain: str = "localhost"
    """Apps are found as `<app>.<environment>.<domain>`. Browsers send every name below `localhost` to this machine."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_json: bool = False
    """Log lines as JSON objects."""
    domains: str = ""
    """Further domains by environment, separated by commas: with `production=example.com` the app `shop` is also
    `shop.example.com` in production."""
    retain_releases: int = 5
    """Releases per app and environment that can be rolled back to; their images are never removed."""
    engine: Engine = field(default_factory=Engine)
    api: Api = field(default_factory=Api)
    database: Database = field(default_factory=Database)
    registry: Registry = field(default_factory=Registry)
    catalog: Catalog = field(default_factory=Catalog)
    gateway: Gateway = field(default_factory=Gateway)
    resolver: Resolver = field(default_factory=Resolver)
    agent: Agent = field(default_factory=Agent)
    host_ports: HostPorts = field(default_factory=HostPorts)
    build: Build = field(default_factory=Build)

    @property
    def mount(self) -> Path:
        """What instances see as `/.pier`."""
        return Path(self.agent.mount) if self.agent.mount else self.home / "agent" / "dot_pier"

    @property
    def catalog_url(self) -> str:
        scheme = "https" if self.catalog.server_cert_file else "http"
        return self.catalog.url or f"{scheme}://{self.catalog.host}:{self.catalog.port}"

    @property
    def registry_address(self) -> str:
        return self.registry.address or f"{self.registry.host}:{self.registry.port}"

    @property
    def registry_config(self) -> Path:
        """The embedded registry's own configuration file."""
        return self.home / "run" / "registry.yml"

    @property
    def registry_storage(self) -> Path:
        """Where the embedded registry keeps its images."""
        return self.home / "registry"

    @property
    def registry_accounts(self) -> Path:
        """The embedded registry's accounts, the newest first: a name and a password a line."""
        return self.home / "registry-accounts"

    @property
    def registry_htpasswd(self) -> Path:
        """The same as the registry reads it, without the passwords."""
        return self.home / "run" / "registry.htpasswd"

    @property
    def api_url(self) -> str:
        return f"http://{self.api.host}:{self.api.port}"

    @property
    def public_url(self) -> str:
        return self.api.public_url.rstrip("/") or self.api_url
