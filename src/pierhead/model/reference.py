"""References to other services in the values of variables: `${service.clock.host}`. Pure.

What they mean depends on the environment that the release is for, so the same text leads to `clock` of `dev` in `dev`
and to that of `staging` in `staging`. `$${` stands for the text `${`; any other `${…}` is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$\$\{|\$\{service\.(?P<app>[a-z0-9-]+)(\.(?P<part>[a-z0-9-]+))?\}")
PARTS = ("host", "port", "address", "url", "name")


@dataclass(frozen=True, slots=True)
class Address:
    """How an app is reached from another one of the same environment."""

    host: str
    port: int
    name: str
    """Of its service in the catalog."""

    def part(self, name: str) -> str:
        """`host`, `port`, `address` (both, with a colon), `url`, `name`. Raises: KeyError."""
        return {
            "host": self.host,
            "port": str(self.port),
            "address": f"{self.host}:{self.port}",
            "url": f"http://{self.host}" if self.port == 80 else f"http://{self.host}:{self.port}",
            "name": self.name,
        }[name]


def apps(values: Iterable[str]) -> frozenset[str]:
    """The apps that the values refer to."""
    found = (match["app"] for value in values for match in _REFERENCE.finditer(value))
    return frozenset(app for app in found if app)


def resolve(value: str, addresses: Mapping[str, Address]) -> str:
    """The value with every reference replaced. Raises: ValueError (an app or a part that is not known)."""
    return _REFERENCE.sub(_replacement(addresses), value)


def _replacement(addresses: Mapping[str, Address]) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        app, part = match["app"], match["part"] or "address"
        if app is None:
            return "${"
        if app not in addresses:
            raise ValueError(f"{match[0]}: there is no app {app}")
        if part not in PARTS:
            raise ValueError(f"{match[0]}: {part} is none of {', '.join(PARTS)}")
        return addresses[app].part(part)

    return replaced
