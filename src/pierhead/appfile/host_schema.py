"""What a file in `services.d` may say. The texts under the fields are the reference and the editor's help.

Only shapes and single values are checked here; what two fields mean together is in `host_check`.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from pierhead.appfile.schema import Part
from pierhead.appfile.values import Command, Duration, Name, Number, ProbePath, Span, Text, Value, host
from pierhead.model.host import DRAIN

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_META_VALUE_LIMIT = 512
_A_WORD = "a name: letters, digits, `_`, `.` and `-`, a letter or digit first, at most 63"
MOST_META = 50
"""A catalog takes 64 pairs; the agent adds its own."""


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError(f"{value!r} is not {_A_WORD}")
    return value


def _address(value: str) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is no IP address: others are told it as it is") from None
    if found.is_unspecified or found.is_multicast:
        raise ValueError(f"{value!r} leads nowhere: write an address of this machine")
    return str(found)


def _meta_key(value: str) -> str:
    if not _META_KEY.fullmatch(value):
        raise ValueError(f"{value!r} is no key: letters, digits, `_` and `-`, at most 128")
    if value.startswith("pier-"):
        raise ValueError("keys that begin with pier- are set by the agent")
    return value


def _meta_value(value: str) -> str:
    if len(value) > _META_VALUE_LIMIT:
        raise ValueError(f"has more than {_META_VALUE_LIMIT} characters")
    return value


def _route(value: str) -> str:
    name, slash, path = value.partition("/")
    if re.search(r"[\s?#]", path):
        raise ValueError(f"{value!r} must be host/path without space, ? or #")
    return f"{host(name)}{slash}{path}"


def _true(value: Any) -> Any:
    if value is not True:
        raise ValueError(f"must be `true`, not {value!r}")
    return value


Word = Annotated[str, AfterValidator(_word), WithJsonSchema({"type": "string", "pattern": f"^{_WORD.pattern}$"})]
Address = Annotated[str, AfterValidator(_address)]
MetaKey = Annotated[str, AfterValidator(_meta_key)]
MetaValue = Annotated[Value, AfterValidator(_meta_value)]
Route = Annotated[str, AfterValidator(_route)]
Yes = Annotated[bool, BeforeValidator(_true), WithJsonSchema({"const": True, "type": "boolean"})]


class Check(Part):
    """How the service shows that it can serve: exactly one of the first six, asked by the agent on this machine."""

    http: ProbePath | None = None
    """Passes when this path answers 200 to 399."""
    https: ProbePath | None = None
    """The same over TLS; the certificate is not verified, because an address is asked."""
    tcp: Yes | None = None
    """Passes when the port accepts connections."""
    grpc: Yes | None = None
    """Passes when the gRPC health service answers SERVING."""
    command: Command | None = None
    """Passes when this command, run on this machine as the agent's user, exits with 0. No shell runs it."""
    ttl: Span | None = None
    """Nobody is asked: the service itself tells the catalog at least this often
    (`PUT /v1/agent/check/pass/service:<id>`)."""
    method: Literal["GET", "HEAD", "OPTIONS"] | None = None
    """The method of `http` and `https`. Default: GET."""
    interval: Span = timedelta(seconds=5)
    """Time between two questions; while the service starts it is asked more often."""
    timeout: Span = timedelta(seconds=2)
    """A question without an answer after this time has failed."""
    rise: int = Field(default=1, ge=1, le=100)
    """Successes in a row that make it pass."""
    fall: int = Field(default=3, ge=1, le=100)
    """Failures in a row that make it critical."""


CheckOrNone = Annotated[
    Annotated[Check, Tag("|mapping")] | Annotated[Literal["none"], Tag("|text")],
    Discriminator(lambda value: "|mapping" if isinstance(value, dict | Check) else "|text"),
]


class Service(Part):
    """One port of a program that runs on this machine."""

    port: Number
    """The port that others reach it at."""
    address: Address | None = None
    """The address that others reach it at. Default: the one that the agent advertises."""
    service: Word | None = None
    """Its name in the catalog. Default: `<app>-<environment>` where `app` is given, else the key of this mapping."""
    protocol: Literal["http", "tcp", "grpc", "dubbo"] = "tcp"
    """What it speaks. A service with a `route` speaks `http` unless it says otherwise."""
    app: Name | None = None
    """The app that it is an instance of, beside the containers of that app."""
    environment: Name | None = None
    """The environment of `app`."""
    release: Word | None = None
    """What a route's `weights` call it by, as they call a container by its release. Default with `app`: `host`."""
    port_name: Name | None = None
    """The name of the port, where the app has several: the service is `<app>-<environment>-<port_name>` then."""
    tags: list[Text] = Field(default_factory=list)
    """Tags in the catalog."""
    meta: dict[MetaKey, MetaValue] = Field(default_factory=dict)
    """Further pairs in the catalog's meta."""
    weight: int | None = Field(default=None, ge=0, le=256)
    """Its share of the requests beside the other endpoints of the service, which have 100. 0: none."""
    route: Route | None = None
    """Host name and path that lead to it, `old.example.com/shop`, without a document of its own."""
    check: CheckOrNone | None = None
    """How it shows that it can serve; `none`: it passes as long as the file says that it is there. Default: its port
    accepts connections."""
    drain: Duration = DRAIN
    """How long its open requests are waited for when it leaves."""


class File(Part):
    """One file of the folder `services.d`."""

    services: dict[Word, Service]
    """The services by a name that is theirs alone on this machine."""
