"""What `pier.yaml` may say. The texts under the fields are the reference and the editor's help.

Only shapes are checked here; what a single value may be is in `values`, what two fields mean together in `check`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from pierhead.appfile.values import (
    Balance,
    BodySize,
    Command,
    Duration,
    Folder,
    Host,
    Inside,
    Mount,
    Name,
    NodeLabel,
    Number,
    Pause,
    ProbePath,
    Secret,
    Share,
    Size,
    Span,
    UrlPath,
    Value,
    Variable,
)


class Part(BaseModel):
    """A mapping whose keys are known; those that begin with `x-` are the owner's own."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"patternProperties": {"^x-": {}}},
    )

    @model_validator(mode="before")
    @classmethod
    def _own_keys(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if not k.startswith("x-")} if isinstance(value, dict) else value


class Port(Part):
    """A port of the container that others reach."""

    port: Number
    """The number inside the container."""
    protocol: Literal["http", "tcp", "grpc", "dubbo"] = "http"
    """`http` and `grpc` are found by host name and path, `tcp` by a service port, `dubbo` by its own registry."""
    hosts: list[Host] = []
    """Names that lead here besides `<app>.<environment>.<domain>` (ports after the first: `<port>.<app>.…`). `*.` in
    front matches every name below. With `tcp` they are looked for in TLS connections, which are passed on unopened."""
    paths: list[UrlPath] = Field(default=["/"], min_length=1)
    """Paths that lead here; a path matches everything below it, and the longest wins."""
    service_port: Number | None = None
    """The port of every gateway that leads here. Without it a `tcp` port is given a free one at its first release."""
    mode: Literal["nat", "same"] | None = None
    """`nat`: the engine chooses the host port. `same`: Pierhead chooses one and the container's has the same number,
    for protocols that register their own address. The app listens on `PORT` (of its first port) or `PIER_PORT_<NAME>`;
    `port` is then only a name for it. Default: `nat`, and `same` for `dubbo`."""
    rewrite: UrlPath | None = None
    """Takes the place of the path that led here: with `paths: [/api]` and `rewrite: /`, `/api/v1` arrives as `/v1`."""
    https: Literal["both", "redirect"] = "both"
    """`redirect`: requests over HTTP are answered with a redirect to HTTPS."""
    hsts: Span | None = None
    """How long browsers shall use nothing but HTTPS for these names: `180d`."""
    redirect_hosts: list[Host] = []
    """Names that are answered with a redirect to the first of `hosts` (without any: to the app's own name)."""
    redirect_code: Literal[301, 302, 303, 307, 308] = 308
    """The status of redirects."""
    sticky: bool = False
    """Whoever was answered by an instance comes back to it, by a cookie."""
    balance: Balance = "roundrobin"
    """`roundrobin`, `leastconn`, or by what the request carries: `source`, `path`, `header:<name>`, `cookie:<name>`."""
    connect_timeout: Span | None = None
    """Of a connection from a gateway to an instance. Default: 3s."""
    response_timeout: Span | None = None
    """Between two signs of life of an instance that owes an answer; then 504. Default: 10m."""
    idle_timeout: Span | None = None
    """Of a WebSocket or TCP connection on which nothing is sent. Default: 24h."""
    body_limit: BodySize | None = None
    """Requests with a larger body are answered 413: `10MiB`. Default: none."""
    http2: bool = False
    """Instances are spoken to in HTTP/2 without TLS. `grpc` always is."""


class Health(Part):
    """How an instance shows that it can serve."""

    http: ProbePath | None = None
    """Healthy when this path answers 200 to 399."""
    tcp: Name | None = None
    """Healthy when the port of this name accepts connections."""
    port: Name | None = None
    """The port that `http` asks. Default: the first one that speaks HTTP."""
    interval: Span = timedelta(seconds=5)
    """Time between two probes."""
    timeout: Span = timedelta(seconds=2)
    """A probe without an answer after this time has failed."""
    rise: int = Field(default=1, ge=1, le=100)
    """Successes in a row that make an instance healthy."""
    fall: int = Field(default=3, ge=1, le=100)
    """Failures in a row that make it unhealthy."""


HealthOrNone = Annotated[
    Annotated[Health, Tag("|mapping")] | Annotated[Literal["none"], Tag("|text")],
    Discriminator(lambda value: "|mapping" if isinstance(value, dict | Health) else "|text"),
]
"""The tags are no keys that a file could have: `reasons` takes them out of paths."""


class Reserve(Part):
    """What a node must have free before an instance is placed there, and what is then kept for it."""

    memory: Size | None = None
    """Memory: `128MiB`. Default: none."""
    cpus: float | None = Field(default=None, gt=0, le=1024)
    """Processors: `0.25`. Default: none."""


class Resources(Part):
    """What one instance may use at most, and what is kept for it."""

    memory: Size | None = None
    """Memory: `256MiB`. Default: no limit."""
    cpus: float | None = Field(default=None, gt=0, le=1024)
    """Processors: `0.5`. Default: no limit."""
    reserve: Reserve = Reserve()
    """What is kept for it. An instance for which no node has that much waits, and `pier ps` says why."""


class Volume(Part):
    """A folder that outlives the container."""

    name: Name | None = None
    """A volume of this environment, made when it is not there and kept until it is removed by hand."""
    folder: Folder | None = None
    """A folder of the node, instead of `name`. It must exist on every node that the app may run on."""
    path: Mount
    """Where the container sees it."""
    read_only: bool = False
    """The container cannot write to it."""


class Stage(Part):
    """A share of the requests that the new release gets for a while (`strategy: canary`)."""

    percent: int = Field(ge=1, le=99)
    """Of the requests."""
    pause: Pause = timedelta(minutes=1)
    """How long, before the next share; `person`: until `pier deployment continue`."""


class Gate(Part):
    """What the gateways must have counted of the new release, or the deployment fails and goes back."""

    max_error_rate: Share
    """Failed requests of all: `1%`, `0.01`. Answers of 500 and above are failed, and so are those that never came."""
    min_requests: int = Field(default=100, ge=1)
    """Fewer requests than that decide nothing; a `canary` waits for them before each next share."""


class Hooks(Part):
    """Commands that run once on the engine, in the new release's image, with its variables, secrets and volumes."""

    pre_deploy: Command | None = None
    """Before the first new instance starts: migrations. When it fails the deployment fails, and nothing was changed."""
    post_deploy: Command | None = None
    """When all requests go to the new release. When it fails the deployment fails and goes back."""
    limit: Span = timedelta(minutes=10)
    """Time that each may take."""


class Deploy(Part):
    """How one release follows another."""

    strategy: Literal["rolling", "blue-green", "canary", "stop-first", "one-at-a-time"] = "rolling"
    """`rolling`: new instances are routed before old ones go, step by step. `blue-green`: all new ones stand beside
    the old ones, found at `preview.<app>.…`, before all requests move at once. `canary`: the new release gets more and
    more of the requests. `stop-first`: the old ones are gone before the new ones start, for apps that must not run
    twice. `one-at-a-time`: one old instance has ended before one new one starts, so that never more run than before."""
    step: int = Field(default=1, ge=1, le=100)
    """Instances more than `replicas` that may run meanwhile (`rolling`)."""
    preview: Pause = timedelta()
    """How long the new instances wait at their preview host before requests move (`blue-green`); `person`: until
    `pier deployment continue`."""
    stages: list[Stage] = []
    """The shares before all requests (`canary`), rising. Default: 10 % and 50 %, a minute each."""
    watch: Duration = timedelta()
    """How long the new release must hold out with all requests before the deployment is done. One instance that ends
    in this time makes it go back."""
    gate: Gate | None = None
    """What the gateways must have counted of the new release. Default: nothing is demanded."""
    hooks: Hooks = Hooks()
    """Commands before and after."""
    deadline: Span = timedelta(minutes=2)
    """Time from start to healthy and routed; a deployment that takes longer fails and goes back."""
    drain: Duration = timedelta(seconds=30)
    """Time in which an instance that is to stop may finish its requests."""
    stop: Duration = timedelta(seconds=10)
    """Time that it may then take to exit after its stop signal."""


class Placement(Part):
    """Which nodes the instances may run on."""

    labels: dict[NodeLabel, Value] = {}
    """Labels that a node must have."""


class Build(Part):
    """How the commit becomes an image. Without it Pierhead looks at the repository."""

    runtime: Literal["python", "node", "java", "go", "static"] | None = None
    """The recipe. Default: found by looking."""
    base: str | None = Field(default=None, min_length=1)
    """The base image. Default: the recipe's own."""
    dockerfile: Inside | None = None
    """A Dockerfile to build with, instead of a recipe."""
    target: str | None = Field(default=None, min_length=1)
    """The stage of the Dockerfile."""
    args: dict[Variable, Value] = {}
    """Build arguments. Never put a secret here: they can be read from the image."""
    secrets: list[Secret] = []
    """Names of secrets (`pier secret set`, of the environment that is built for) that the Dockerfile may read:
    `RUN --mount=type=secret,id=<name> …`. They are in no layer and no log. Needs BuildKit."""
    command: Command | None = None
    """Run in the source tree once the dependencies are there: `npm run build`."""
    output: Inside | None = None
    """The folder that holds the site (`runtime: static`). Default: the repository itself."""


class TestService(Part):
    """What the tests need beside the app."""

    __test__ = False
    image: str = Field(min_length=1)
    """Its image; the tests reach it by its name."""
    env: dict[Variable, Value] = {}
    """Variables of its container."""
    command: Command | None = None
    """Replaces its image's own command."""


class Test(Part):
    """Run in a container of the image before it is released; when it fails, nothing is."""

    __test__ = False
    command: Command
    """What is run, in the folder of the app: `[python3, -m, pytest, --junitxml, /tmp/report.xml]`."""
    env: dict[Variable, Value] = {}
    """Variables of the container."""
    services: dict[Name, TestService] = {}
    """Containers beside it, on a network from which nothing else is reached: a database, say."""
    report: Folder | None = None
    """The JUnit report that the command writes; kept with the build."""
    timeout: Span = timedelta(minutes=10)
    """Tests that take longer have failed."""


class App(Part):
    """One app, in the environment that has no overlay."""

    app: Name
    """The app's name: part of its host names, of its images and of its engine services."""
    build: Build = Build()
    """How the commit becomes an image. Default: Pierhead looks at the repository."""
    test: Test | None = None
    """Tests of the image, before it is released. Default: none."""
    ports: dict[Name, Port] = {}
    """Its ports by name; the first one is the app's own address. Without ports it is a worker."""
    ports_required: bool = False
    """An instance never starts without the variables that say where it is reached (`PIER_HOST_IP`, …): it ends with
    78 and is started again. Otherwise it waits 5 seconds for them, says so, and starts. Always so with `dubbo`."""
    replicas: int = Field(default=1, ge=0, le=500)
    """Instances that run. What `pier scale` says comes before it."""
    command: Command | None = None
    """Replaces the image's own command. A text is split into words; no shell runs it."""
    health: HealthOrNone | None = None
    """How an instance shows that it can serve; `none`: by running. Default: its first port accepts connections."""
    resources: Resources = Resources()
    """What one instance may use at most, and what is kept for it."""
    env: dict[Variable, Value] = {}
    """Variables of the container; `pier variable set` comes before them. `${service.clock.url}` stands for the address
    of the app `clock` in the same environment (`host`, `port`, `address`, `url`, `name`), `$${` for the text `${`."""
    secrets: list[Secret] = []
    """Names of secrets (`pier secret set`); each is the file `/run/secrets/<name>`."""
    secret_env: dict[Variable, Secret] = {}
    """Variables of the container whose value is a secret: `DATABASE_URL: database-url`. The value is read when the
    container starts, so it is in no description of the container or the service; line ends behind it are dropped."""
    volumes: list[Volume] = []
    """Folders that outlive the container."""
    network: Literal["bridge", "host"] = "bridge"
    """`bridge`: a network of its own behind the node's address. `host`: the node's network."""
    deploy: Deploy = Deploy()
    """How one release follows another."""
    placement: Placement = Placement()
    """Which nodes the instances may run on."""
