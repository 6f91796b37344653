"""One request as the endpoints see it: its path, its parameters read as Go reads them, its body. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl, unquote

from pierhead.catalog.reply import Rejected

LONGEST_WAIT = timedelta(minutes=10)
DEFAULT_WAIT = timedelta(minutes=5)

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[-+]?(?:{_PART.pattern})+")
TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_UINT64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    target: str = ""
    """The undecoded target, which a cached answer is found by."""

    def get(self, name: str, default: str = "") -> str:
        """The first value of the parameter."""
        return self.query[name][0] if name in self.query else default

    def has(self, name: str) -> bool:
        """The parameter is there, with a value or without."""
        return name in self.query

    def flag(self, name: str, *, refusal: str = "") -> bool:
        """The parameter is there and not false. Raises: Rejected 400 when it is neither true nor false."""
        value = self.get(name)
        if value and value not in TRUE and value not in FALSE:
            raise Rejected(400, refusal or f"Invalid value for ?{name}")
        return self.has(name) and value not in FALSE

    def number(self, name: str) -> int:
        """The parameter as uint64. Raises: Rejected 500 with Go's words, as Consul does."""
        value = self.get(name)
        if not value.isascii() or not value.isdigit():
            raise Rejected(400, f'strconv.ParseUint: parsing "{value}": invalid syntax')
        if int(value) >= _UINT64:
            raise Rejected(400, f'strconv.ParseUint: parsing "{value}": value out of range')
        return int(value)

    @property
    def index(self) -> int:
        """What the client has seen; 0: it does not wait. Raises: Rejected 400."""
        value = self.get("index")
        if value and not (value.isascii() and value.isdigit() and int(value) < _UINT64):
            raise Rejected(400, "Invalid index")
        return int(value or 0)

    @property
    def wait(self) -> timedelta:
        """How long a blocking query may take, without its jitter. Raises: Rejected 400."""
        value = self.get("wait")
        if not value:
            return DEFAULT_WAIT
        try:
            asked = duration(value)
        except ValueError:
            raise Rejected(400, "Invalid wait time") from None
        return min(asked, LONGEST_WAIT) if asked > timedelta() else DEFAULT_WAIT

    @property
    def token(self) -> str:
        """The token by parameter, header or bearer, in Consul's order."""
        bearer = self.headers.get("authorization", "")
        scheme, _, value = bearer.partition(" ")
        return (
            self.get("token")
            or self.headers.get("x-consul-token", "")
            or (value.strip() if scheme.lower() == "bearer" else "")
        )


def parse(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """The request behind a raw target. Raises: Rejected 400 for a target that is not UTF-8."""
    path, _, query = target.partition("?")
    try:
        decoded = unquote(path, errors="strict")
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict") if query else []
    except (UnicodeDecodeError, ValueError):
        raise Rejected(400, "Invalid path or query") from None
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        values[name] = (*values.get(name, ()), value)
    return Request(method, decoded, values, body, headers, target)


def duration(text: str) -> timedelta:
    """The Go duration that `text` names: `1h15m`, `15.000000s`, `0`. Raises: ValueError."""
    if text in ("0", "+0", "-0"):
        return timedelta()
    if not _DURATION.fullmatch(text):
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError:
        raise ValueError(f'time: invalid duration "{text}"') from None


def duration_text(value: timedelta) -> str:
    """`value` as Go prints it: `1m0s`, `1.5s`, `24h0m0s`."""
    total = value.total_seconds()
    if not total:
        return "0s"
    if total < 1:
        return f"{total * 1000:g}ms"
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{round(seconds, 6):g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
