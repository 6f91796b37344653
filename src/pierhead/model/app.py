"""An app as its owner describes it, for one environment: what `pier.yaml` says once overlays are applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from pierhead.model.policy import PLAIN, Policy

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
"""Names of apps, environments and ports: they become DNS labels and parts of engine service names."""


class Protocol(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    GRPC = "grpc"
    DUBBO = "dubbo"


class PortMode(StrEnum):
    NAT = "nat"
    """The engine chooses a free port of the host for every instance."""
    SAME = "same"
    """Pierhead chooses one, and the container's port has the same number: for protocols that register their address."""


class Strategy(StrEnum):
    ROLLING = "rolling"
    """New instances are raised step by step beside the old ones, which leave as the new ones are routed."""
    STOP_FIRST = "stop-first"
    """The old instances are gone before the first new one starts: for apps that must not run twice."""
    ONE_AT_A_TIME = "one-at-a-time"
    """One old instance has ended before one new one starts: never more run than before."""
    BLUE_GREEN = "blue-green"
    """All new instances stand beside the old ones before all requests move to them at once."""
    CANARY = "canary"
    """The new release is given more and more of the requests."""


class Network(StrEnum):
    BRIDGE = "bridge"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    container_port: int
    protocol: Protocol = Protocol.HTTP
    service_port: int | None = None
    """The port of every gateway that leads to this one, for protocols that are not found by host name."""
    hosts: tuple[str, ...] = ()
    """Names besides `<app>.<environment>.<domain>`. `*.` in front matches every name below."""
    paths: tuple[str, ...] = ("/",)
    mode: PortMode = PortMode.NAT
    policy: Policy = PLAIN
    """What gateways do with a request besides leading it here."""
    redirect_hosts: tuple[str, ...] = ()
    """Names that are answered with a redirect to the first of `hosts`."""


class Probe(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance shows that it can serve."""

    probe: Probe = Probe.TCP
    path: str = "/"
    port: str = ""
    """The name of the port that is asked; empty: the first one."""
    interval: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=2)
    rise: int = 1
    fall: int = 3


@dataclass(frozen=True, slots=True)
class Resources:
    """Upper limits of one instance, and what is kept for it. None: no limit, nothing."""

    cpus: float | None = None
    memory_bytes: int | None = None
    reserved_cpus: float | None = None
    reserved_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume (kept across releases, one per environment) or a folder of the node (`source` is absolute)."""

    source: str
    path: str
    read_only: bool = False

    @property
    def is_folder(self) -> bool:
        return self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class Stage:
    """A share of the requests that the new release gets for a while."""

    percent: int
    pause: timedelta | None = timedelta()
    """Before the next share; None: until a person continues."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gateways' counters must say of the new release."""

    max_error_rate: float
    """0…1: more failed requests than that end the deployment."""
    min_requests: int = 100
    """Fewer decide nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Commands that run once, in the image of the new release, with its variables and secrets."""

    pre_deploy: tuple[str, ...] = ()
    """Before its first instance starts."""
    post_deploy: tuple[str, ...] = ()
    """When all requests go to it, before the deployment is done."""
    limit: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Deploy:
    strategy: Strategy = Strategy.ROLLING
    step: int = 1
    """How many instances more than `replicas` may run while the new ones are raised."""
    stages: tuple[Stage, ...] = ()
    watch: timedelta = timedelta()
    """How long the new release must hold out with all requests before the old one is given up."""
    gate: Gate | None = None
    hooks: Hooks = Hooks()
    deadline: timedelta = timedelta(minutes=2)
    """How long the new instances may take from start to healthy and routed before the deployment fails."""
    drain: timedelta = timedelta(seconds=30)
    """How long an instance that is to stop may finish the requests it has."""
    stop: timedelta = timedelta(seconds=10)
    """How long it may take to exit after its stop signal."""


@dataclass(frozen=True, slots=True)
class TestService:
    """What tests need beside the app: a database, say."""

    __test__ = False
    image: str
    env: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestSpec:
    """What is run in a container of the image before it is released."""

    __test__ = False
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, TestService] = field(default_factory=dict)
    report: str = ""
    """Where the tests write a JUnit report; empty: nowhere."""
    timeout: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """How the commit becomes an image. All empty: Pierhead looks at the repository."""

    runtime: str = ""
    """`python`, `node`, `java`, `go`, `static`; empty: found by looking."""
    base: str = ""
    """The base image; empty: the recipe's own."""
    dockerfile: str = ""
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of those that the Dockerfile may read."""
    command: tuple[str, ...] = ()
    """Run in the source tree after the dependencies are there, for example `npm run build`."""
    output: str = ""
    """The folder that holds the site once `command` has run (static sites)."""
    test: TestSpec | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One app in one environment, complete. Part of a release and immutable with it."""

    app: str
    ports: tuple[Port, ...] = ()
    replicas: int = 1
    command: tuple[str, ...] = ()
    """Replaces the image's own command."""
    resources: Resources = Resources()
    health: Health = Health()
    env: Mapping[str, str] = field(default_factory=dict)
    ports_required: bool = False
    """An instance does not start before it was told its host ports."""
    secrets: tuple[str, ...] = ()
    """Names; each is delivered as the file `/run/secrets/<name>`."""
    secret_env: Mapping[str, str] = field(default_factory=dict)
    """Variable → the secret that is its value."""
    volumes: tuple[Volume, ...] = ()
    network: Network = Network.BRIDGE
    deploy: Deploy = Deploy()
    labels: Mapping[str, str] = field(default_factory=dict)
    """Node labels that an instance's node must have."""
    build: BuildSpec = BuildSpec()
    zone: str = ""
    """A further domain in which its names are: that of its environment when it was released; empty: none."""

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Every secret that an instance is delivered, as a file or as a variable."""
        return tuple(dict.fromkeys([*self.secrets, *self.secret_env.values()]))

    @property
    def own_ports(self) -> tuple[Port, ...]:
        """Those for which every instance needs a host port of its own, known before it starts."""
        is_behind = self.network is Network.BRIDGE
        return tuple(port for port in self.ports if is_behind and port.mode is PortMode.SAME)

    def port(self, name: str) -> Port:
        """The port of that name; the first one for an empty name. Raises: KeyError."""
        for port in self.ports:
            if name in ("", port.name):
                return port
        raise KeyError(name)


def service_name(app: str, environment: str, port: Port, *, is_first: bool) -> str:
    """The catalog's name for a port of an app: `<app>-<environment>`, with `-<port>` for every port but the first."""
    return f"{app}-{environment}" if is_first else f"{app}-{environment}-{port.name}"


@dataclass(frozen=True, slots=True)
class Domains:
    """Where names end."""

    domain: str
    further: Mapping[str, str] = field(default_factory=dict)
    """Environment → a domain in which its apps have their plain name: `shop.example.com`."""

    def hosts(self, app: str, environment: str, port: Port, *, is_first: bool) -> tuple[str, ...]:
        """Every name that leads to a port, the app's own before those that the port asks for."""
        if port.protocol not in (Protocol.HTTP, Protocol.GRPC):
            return port.hosts
        own = [host_name(app, environment, self.domain)]
        if environment in self.further:
            own.append(f"{app}.{self.further[environment]}")
        return (*(name if is_first else f"{port.name}.{name}" for name in own), *port.hosts)

    def of(self, spec: Spec, environment: str) -> Domains:
        """With the domain that the release's environment had when it was made."""
        return replace(self, further={**self.further, environment: spec.zone}) if spec.zone else self


def host_name(app: str, environment: str, domain: str) -> str:
    """The name under which every app is found without asking for one: `notes.dev.localhost`."""
    return f"{app}.{environment}.{domain}"
