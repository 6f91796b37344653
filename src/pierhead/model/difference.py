"""What differs between two releases, or between a release and one that could be made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pierhead.model import names
from pierhead.model.app import Domains, Spec

_TOLD = frozenset(["app", "env", "secrets", "secret_env", "replicas", "build", "zone"])
"""Of a spec: told in their own way, or of no effect on what runs."""


@dataclass(frozen=True, slots=True)
class Side:
    """What a release is made of."""

    image: str
    commit: str
    spec: Spec
    environment: str
    variables: Mapping[str, str]
    secrets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """None on a side: it is not there."""

    kind: str
    """`image`, `commit`, `variable`, `secret`, `scale`, `route`, or a field of `pier.yaml`."""
    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip() + f": {_shown(self.before)} → {_shown(self.after)}"


def between(before: Side | None, after: Side, domains: Domains) -> list[Difference]:
    """In the order in which people ask: image, commit, scale, routes, config, secrets, the rest."""
    found = [*_code(before, after), *_addresses(before, after, domains), *_config(before, after)]
    return [*found, *_rest(before, after)]


def _code(before: Side | None, after: Side) -> Iterator[Difference]:
    yield from _one("image", "", before.image.rpartition("@")[2] if before else None, after.image.rpartition("@")[2])
    yield from _one("commit", "", before.commit[:10] if before else None, after.commit[:10])
    yield from _one("scale", "replicas", str(before.spec.replicas) if before else None, str(after.spec.replicas))


def _addresses(before: Side | None, after: Side, domains: Domains) -> Iterator[Difference]:
    old = names.claimed(before.spec, before.environment, domains) if before else frozenset()
    new = names.claimed(after.spec, after.environment, domains)
    for route in sorted(one for one in old ^ new if not one.startswith("service ")):
        yield Difference("route", route, route if route in old else None, route if route in new else None)


def _config(before: Side | None, after: Side) -> Iterator[Difference]:
    old, new = (_variables(before) if before else {}), _variables(after)
    for name in sorted({*old, *new}):
        yield from _one("variable", name, old.get(name), new.get(name))
    versions = before.secrets if before else {}
    for name in sorted({*versions, *after.secrets}):
        yield from _one("secret", name, _version(versions.get(name)), _version(after.secrets.get(name)))


def _variables(side: Side) -> Mapping[str, str]:
    """Those that are secrets by the secret's name: no value of one is ever in a difference."""
    return {**side.variables, **{name: f"the secret {secret}" for name, secret in side.spec.secret_env.items()}}


def _rest(before: Side | None, after: Side) -> Iterator[Difference]:
    for field in fields(Spec):
        if before and field.name not in _TOLD:
            yield from _inside(field.name, "", getattr(before.spec, field.name), getattr(after.spec, field.name))


def _inside(kind: str, name: str, before: Any, after: Any) -> Iterator[Difference]:
    """The fields that differ, however deep: `health path`."""
    if is_dataclass(before) and type(before) is type(after):
        for field in fields(before):
            path = f"{name}.{field.name}" if name else field.name
            yield from _inside(kind, path, getattr(before, field.name), getattr(after, field.name))
    elif _are_named(before) and _are_named(after):
        old, new = ({one.name: one for one in side} for side in (before, after))
        for one in sorted({*old, *new}):
            yield from _inside(kind, f"{name}.{one}".lstrip("."), old.get(one), new.get(one))
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _inside(kind, f"{name}.{key}".lstrip("."), before.get(key), after.get(key))
    elif before != after:
        yield Difference(kind, name, _text(before), _text(after))


def _are_named(value: Any) -> bool:
    return isinstance(value, tuple) and all(hasattr(one, "name") for one in value)


def _text(value: Any) -> str | None:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    if is_dataclass(value):
        return str(getattr(value, "name", value))
    return None if value in (None, "") else str(value)


def _one(kind: str, name: str, before: str | None, after: str | None) -> Iterator[Difference]:
    if before != after:
        yield Difference(kind, name, before, after)


def _version(value: int | None) -> str | None:
    return None if value is None else f"version {value}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
