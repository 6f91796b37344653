"""What settings there are, read from their own definition: the texts under the fields are the documentation."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead import settings
from pierhead.kit import units


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that a process can be told."""

    section: str
    """Empty for those at the top of the file."""
    field: str
    kind: type
    """str, int, float, bool, Path or timedelta."""
    default: Any
    text: str

    @property
    def key(self) -> str:
        return f"{self.section}.{self.field}" if self.section else self.field

    @property
    def variable(self) -> str:
        return "PIER_" + self.key.replace(".", "_").upper()

    @property
    def is_secret(self) -> bool:
        return self.field.endswith(("token", "password", "secret"))

    @property
    def is_size(self) -> bool:
        return self.field.endswith("_bytes")


VARIABLES: Mapping[str, str] = {
    "PIER_CONFIG": "the settings file to read",
    "PIER_URL": "the server that the command line talks to",
    "PIER_TOKEN": "the token that it shows there",
    "PIER_NODE_TOKEN": "the token that `pier agent` shows the server, and keeps",
    "PIER_APP": "in a container: the app it belongs to",
    "PIER_ENVIRONMENT": "in a container: its environment",
    "PIER_RELEASE": "in a container: its release",
    "PIER_INSTANCE": "in a container: its own name",
    "PIER_NODE": "in a container: the node it runs on",
    "PIER_COMMAND": "in a command of `pier exec`: what its processes are known by",
    "PIER_HOST_IP": "in a container: the address it is reached at",
}
"""Variables that begin with `PIER_` and are no settings."""

PREFIXES: Mapping[str, str] = {"PIER_HOST_PORT_": "in a container: the host port of the container port at its end"}


@functools.cache
def all_settings() -> Mapping[str, Setting]:
    """Every setting by its key, in the order in which they are written."""
    return {found.key: found for found in _walk("", settings.Settings)}


@functools.cache
def sections() -> Mapping[str, str]:
    """The text of every section, by its name; the empty name is the file itself."""
    hints = typing.get_type_hints(settings.Settings)
    nested = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    return {name: _first(kind) for name, kind in [("", settings.Settings), *nested.items()]}


def example() -> str:
    """A settings file with every setting and its text. Values are the defaults, behind a `#` without a space."""
    lines = ["# Settings of Pierhead. A line that begins with `#` and no space shows a default: remove the `#`", ""]
    lines[0] += " to change it."
    for section, text in sections().items():
        if section:
            lines += [f"# {text}", f"[{section}]", ""]
        for setting in all_settings().values():
            if setting.section == section:
                lines += [f"# {line}" for line in setting.text.splitlines()]
                lines += [f"#{setting.field} = {toml(setting, setting.default)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def markdown() -> str:
    """Every setting with its variable, default and effect, and the variables that are no settings."""
    lines = [
        "# Settings",
        "",
        "Generated from `src/pierhead/settings/__init__.py`. A flag comes before a variable, which",
    ]
    lines += [
        "comes before the settings file: the one named by `PIER_CONFIG`, else `pier.toml` in the data folder, else"
    ]
    lines += ["`/etc/pierhead/pier.toml`. Unknown keys and unknown `PIER_*` variables are errors. A command that"]
    lines += [
        "only asks a server warns of a variable instead, unless it is nearly the name of one that says which server.",
        "",
    ]
    for section, text in sections().items():
        lines += [f"## [{section}]" if section else "## At the top of the file", "", text, ""]
        for setting in all_settings().values():
            if setting.section == section:
                effect = " ".join(setting.text.split())
                default = toml(setting, setting.default)
                lines += [f"- **{setting.field}** (`{setting.variable}`, default `{default}`): {effect}"]
        lines += [""]
    lines += ["## Variables that are no settings", ""]
    lines += [f"- `{name}`: {text}." for name, text in VARIABLES.items()]
    lines += [f"- `{name}…`: {text}." for name, text in PREFIXES.items()]
    return "\n".join(lines) + "\n"


def toml(setting: Setting, value: Any) -> str:
    """`value` as the settings file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and not setting.is_size:
        return str(value)
    return json.dumps(shown(setting, value), ensure_ascii=False)


def shown(setting: Setting, value: Any) -> Any:
    """`value` for a person and for JSON; a secret is not told."""
    if setting.is_secret and value:
        return "********"
    if isinstance(value, timedelta):
        return units.duration_text(value)
    if isinstance(value, Path):
        return str(value)
    return units.size_text(value) if setting.is_size else value


def _walk(section: str, kind: Any) -> Iterator[Setting]:
    hints = typing.get_type_hints(kind)
    texts = _texts()[kind.__name__]
    for field in dataclasses.fields(kind):
        found = hints[field.name]
        if dataclasses.is_dataclass(found):
            yield from _walk(field.name, found)
        else:
            yield Setting(section, field.name, found, field.default, texts.get(field.name, ""))


@functools.cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    """Class → field → the string that stands under it."""
    tree = ast.parse(inspect.getsource(settings))
    return {node.name: _under_fields(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _under_fields(node: ast.ClassDef) -> Mapping[str, str]:
    found = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = inspect.cleandoc(value.value)
    return found


def _first(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]
