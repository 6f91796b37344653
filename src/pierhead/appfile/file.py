"""Reading a `pier.yaml`: valid as a whole, or refused with every mistake in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pierhead.appfile import check, document, reasons, schema
from pierhead.appfile import spec as specs
from pierhead.appfile.document import Document, Fault, Path
from pierhead.kit.errors import Invalid, Problem
from pierhead.model.app import NAME, Spec

_TEXTS = (("env",), ("test", "env"), ("build", "args"), ("placement", "labels"))
"""Mappings whose values are kept as they are written: `1.10` and `no` are texts there."""
_FIXED = ("app", "environments")
"""Keys that an overlay cannot have."""


@dataclass(frozen=True, slots=True)
class AppFile:
    """A valid app file: its own data, and what each environment changes in it."""

    name: str
    data: Mapping[str, Any]
    overlays: Mapping[str, Mapping[str, Any]]

    @property
    def app(self) -> str:
        return str(self.data["app"])

    def environments(self) -> tuple[str, ...]:
        """The environments that the file names, in its order. Any other is the file without an overlay."""
        return tuple(self.overlays)

    def spec(self, environment: str) -> Spec:
        """The app in `environment`. Raises: Invalid (its name cannot be, or is too long together with the app's)."""
        data = document.merge(self.data, self.overlays.get(environment, {}))
        faults = [*_name_faults(environment), *check.check(data, environment)]
        if faults:
            problems = [Problem(f"{self.name} {dotted(fault.path)}", fault.reason, fault.hint) for fault in faults]
            raise Invalid(f"{self.app} cannot be in {environment!r}.", problems=problems)
        return specs.spec(schema.App.model_validate(data))


def read(text: bytes, name: str = "pier.yaml") -> AppFile:
    """The app file that `text` is. Raises: Invalid with every problem: `name:line path: reason (nearest name)`."""
    found = document.parse(text)
    if not found.faults and not isinstance(found.data, dict):
        found.faults.append(Fault((), "must say what the app is: `app: <name>`, `ports: …`"))
    _keep_texts(found)
    data = found.data if isinstance(found.data, dict) else {}
    base, overlays = _split(found, data)
    faults = list(found.faults)
    if data or not faults:
        own = [*_schema_faults(base, ["environments"]), *check.check(base)]
        faults += own
        for environment, overlay in overlays.items():
            known = {(fault.path, fault.reason) for fault in own}
            faults += _overlay_faults(found, base, (environment, overlay), known)
    if faults:
        problems = list(dict.fromkeys(problem(name, found, fault) for fault in _ordered(found, faults)))
        raise Invalid(f"{name} is not valid.", problems=problems, hint="docs/reference/pier-yaml.md has every field.")
    return AppFile(name, base, overlays)


def dotted(path: Path) -> str:
    """`ports.web.hosts.0`"""
    return ".".join(map(str, path))


def _split(found: Document, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The file without `environments`, and the overlays that are mappings."""
    given = data.get("environments")
    if given is not None and not isinstance(given, dict):
        found.faults.append(Fault(("environments",), "must be a mapping: environment → what differs there"))
    overlays = {}
    for environment, overlay in (given if isinstance(given, dict) else {}).items():
        if environment.startswith("x-"):
            continue
        found.faults += _name_faults(environment, ("environments", environment))
        if overlay is None or isinstance(overlay, dict):
            overlays[environment] = overlay or {}
        else:
            found.faults.append(Fault(("environments", environment), "must be a mapping of what differs there"))
    return {key: value for key, value in data.items() if key != "environments"}, overlays


def _overlay_faults(
    found: Document, base: dict[str, Any], named: tuple[str, Mapping[str, Any]], known: set[tuple[Path, str]]
) -> Iterator[Fault]:
    """Faults that the overlay brings, each at the place in the overlay or in the file that it comes from."""
    environment, overlay = named
    prefix: Path = ("environments", environment)
    for key in _FIXED:
        if key in overlay:
            yield Fault((*prefix, key), "cannot differ between environments")
    merged = document.merge(base, {key: value for key, value in overlay.items() if key not in _FIXED})
    for fault in [*_schema_faults(merged), *check.check(merged, environment)]:
        if (fault.path, fault.reason) not in known:
            is_own = len(fault.path) > 0 and (*prefix, fault.path[0]) in found.lines
            yield Fault((*prefix, *fault.path), fault.reason, fault.hint) if is_own else fault


def _schema_faults(data: Mapping[str, Any], further: Sequence[str] = ()) -> Iterator[Fault]:
    try:
        schema.App.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield reasons.fault(detail, further)


def _name_faults(environment: str, path: Path = ()) -> Iterator[Fault]:
    if not NAME.fullmatch(environment):
        reason = f"{environment!r} is not a name: lower-case letters, digits and `-`, a letter first, at most 40"
        yield Fault(path, reason)


def _keep_texts(found: Document) -> None:
    """Values of `_TEXTS` are what is written, in the file and in its overlays."""
    environments = (found.data.get("environments") if isinstance(found.data, dict) else None) or {}
    prefixes: list[Path] = [()]
    prefixes += [("environments", name) for name in environments] if isinstance(environments, dict) else []
    for prefix in prefixes:
        for path in _TEXTS:
            values = _at(found.data, (*prefix, *path))
            for key, value in values.items() if isinstance(values, dict) else ():
                if isinstance(value, bool | int | float):
                    values[key] = found.written[(*prefix, *path, key)]


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _ordered(found: Document, faults: list[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.line or found.line(fault.path))


def problem(name: str, found: Document, fault: Fault) -> Problem:
    """The fault with its place in the file `name`."""
    place = f"{name}:{fault.line or found.line(fault.path)} {dotted(fault.path)}".rstrip()
    return Problem(place, fault.reason, fault.hint)
