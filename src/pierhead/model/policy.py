"""What a gateway does with a request besides leading it to a service: fields of a route, and of a port in `pier.yaml`.

Each is a field of the stored document too; what the document leaves out is the default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pierhead.kit import units

CODES = (301, 302, 303, 307, 308)
BALANCE = re.compile(r"roundrobin|leastconn|source|path|(header|cookie):[A-Za-z0-9_-]{1,64}")
HASHED = ("source", "path", "header", "cookie")
PATH = re.compile(r"/[!-~]*")
_TARGET = re.compile(r"(?:https?://)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?(?:/[!-~]*)?")


class Https(StrEnum):
    BOTH = "both"
    """Served over HTTP, and over HTTPS where the gateway listens for it."""
    REDIRECT = "redirect"
    """A request over HTTP is answered with a redirect to the same name over HTTPS."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The default changes nothing of a request. Two routes to a service may have different ones."""

    rewrite: str = ""
    """What takes the place of the path that led here; empty: the path stays."""
    https: Https = Https.BOTH
    hsts: timedelta | None = None
    """How long browsers shall use nothing but HTTPS for this name."""
    redirect: str = ""
    """Every request is answered with a redirect to there: a name, or `https://name/path`. No service is needed."""
    redirect_code: int = 308
    maintenance: bool = False
    """Every request is answered with the maintenance page."""
    sticky: bool = False
    """Whoever was answered by an instance comes back to it, by a cookie."""
    balance: str = "roundrobin"
    connect_timeout: timedelta | None = None
    response_timeout: timedelta | None = None
    idle_timeout: timedelta | None = None
    body_limit: int | None = None
    """Bytes."""
    http2: bool = False
    """Instances are spoken to in HTTP/2 without TLS."""

    @property
    def is_hashed(self) -> bool:
        """The request itself says which instance it goes to, on every gateway the same one."""
        return self.balance.partition(":")[0] in HASHED


PLAIN = Policy()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the stored document."""

    kind: str
    text: str
    """What it does, for people."""
    read: Callable[[Any], Any]
    """Raises: ValueError with the reason."""
    write: Callable[[Any], Any] = lambda value: value


def read(value: Mapping[str, Any]) -> Policy:
    """The policy in a route's document; other fields are not looked at. Raises: ValueError with field and reason."""
    found = {}
    for name in FIELDS.keys() & value.keys():
        try:
            found[name] = FIELDS[name].read(value[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return Policy(**found)


def document(policy: Policy) -> dict[str, Any]:
    """Only what differs from the default; `read` is its inverse."""
    given = {field.name: getattr(policy, field.name) for field in fields(policy)}
    return {name: FIELDS[name].write(value) for name, value in given.items() if value != getattr(PLAIN, name)}


def balance(value: Any) -> str:
    """Raises: ValueError."""
    if not isinstance(value, str) or not BALANCE.fullmatch(value):
        raise ValueError(f"{value!r} is none of roundrobin, leastconn, source, path, header:<name>, cookie:<name>")
    return value


def code(value: Any) -> int:
    """The status of a redirect. Raises: ValueError."""
    if value not in CODES or isinstance(value, bool):
        raise ValueError(f"{value!r} is none of {', '.join(map(str, CODES))}")
    return int(value)


def _path(value: Any) -> str:
    if not isinstance(value, str) or not PATH.fullmatch(value) or re.search("[?#]", value):
        raise ValueError(f"{value!r} must begin with / and have no space, ? or #")
    return value


def _target(value: Any) -> str:
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise ValueError(f"{value!r} is neither a name nor https://name/path")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")  # noqa: TRY004
    return value


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration: write 30s, 2m, 1h30m or 500ms")  # noqa: TRY004
    found = units.duration(value)
    if found < timedelta(milliseconds=1):
        raise ValueError("must be longer than 0s")
    return found


def size(value: Any) -> int:
    """Bytes of a body. Raises: ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no size: write 10MiB or a number of bytes")  # noqa: TRY004
    found = units.size(str(value))
    if found < 1:
        raise ValueError("must be at least one byte")
    return found


def _https(value: Any) -> Https:
    try:
        return Https(value)
    except ValueError:
        raise ValueError(f"{value!r} is none of {', '.join(Https)}") from None


FIELDS: Mapping[str, Field] = {
    "rewrite": Field(
        "path",
        "Takes the place of the path that led here: with `paths: [/api]` and `rewrite: /`, `/api/v1` arrives as "
        "`/v1`; with `rewrite: /v2`, `/api/x` arrives as `/v2/x` and `/api` as `/v2`.",
        _path,
    ),
    "https": Field(
        "`both` or `redirect`",
        "`redirect` answers a request over HTTP with a redirect to HTTPS. Behind a trusted load balancer that ends TLS "
        "its `X-Forwarded-Proto` counts.",
        _https,
        str,
    ),
    "hsts": Field(
        "duration", "Sends `Strict-Transport-Security` with every answer over HTTPS.", _duration, units.duration_text
    ),
    "redirect": Field(
        "text",
        "Answers every request with a redirect: to a name (scheme, port, path and query stay), or to "
        "`https://name/path`, which path and query are appended to. `service` may be left out then.",
        _target,
    ),
    "redirect_code": Field("`301`, `302`, `303`, `307` or `308`", "The status of redirects. Default 308.", code),
    "maintenance": Field("true or false", "Answers every request with the maintenance page, 503.", _truth),
    "sticky": Field(
        "true or false",
        "Sends whoever was answered by an instance to the same one again, by a cookie that every gateway understands.",
        _truth,
    ),
    "balance": Field(
        "text",
        "`roundrobin` (default), `leastconn`, or by what the request carries, which leads to the same instance on "
        "every gateway: `source` (client address), `path`, `header:<name>`, `cookie:<name>`. A request without it is "
        "sent to any.",
        balance,
    ),
    "connect_timeout": Field(
        "duration", "To an instance. Default 3s; three more attempts follow.", _duration, units.duration_text
    ),
    "response_timeout": Field(
        "duration",
        "Between two signs of life of an instance that owes an answer. Default 10m; then 504.",
        _duration,
        units.duration_text,
    ),
    "idle_timeout": Field(
        "duration",
        "Of a WebSocket or a TCP connection on which nothing is sent. Default 24h.",
        _duration,
        units.duration_text,
    ),
    "body_limit": Field(
        "size",
        "A request with a larger body is answered 413, one that does not say how large its body is 411. Default: none.",
        size,
    ),
    "http2": Field("true or false", "Speaks HTTP/2 without TLS (h2c) to instances. `grpc` always does.", _truth),
}
