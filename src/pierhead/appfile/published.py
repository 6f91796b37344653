"""The app file's schema for editors (JSON Schema), and its reference for people. Both come from `schema`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pierhead.appfile import host_schema, schema

SCHEMA_ID = "urn:pierhead:pier.yaml"
_TITLES = {"App": "At the top of the file"}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a `pier.yaml`."""
    document: dict[str, Any] = _readable(schema.App.model_json_schema())
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["$id"] = SCHEMA_ID
    document["title"] = "pier.yaml"
    overlay = _overlay({key: document[key] for key in ("type", "properties", "patternProperties")})
    overlay["additionalProperties"] = False
    del overlay["properties"]["app"]
    document["$defs"] |= {f"{name}Overlay": _overlay(part) for name, part in document["$defs"].items()}
    document["$defs"]["Overlay"] = overlay
    document["properties"]["environments"] = {
        "type": "object",
        "description": ENVIRONMENTS,
        "patternProperties": {"^x-": {}},
        "propertyNames": document["properties"]["app"] | {"description": "An environment's name."},
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Overlay"}, {"type": "null"}]},
    }
    return document


ENVIRONMENTS = (
    "What differs in an environment, by its name. Mappings are merged by key, texts, numbers and lists are replaced, "
    "`null` removes."
)


def json_text() -> str:
    """The JSON Schema as the file that is published."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def markdown() -> str:
    """Every field with its type, default and effect."""
    lines = [
        "# pier.yaml",
        "",
        "Generated from `src/pierhead/appfile/schema.py`. Keys that begin with `x-` are yours; YAML anchors and merges",
        "are understood, tags are not. Durations are written `30s`, `2m`, `1h30m`; sizes `256MiB`, `2GiB`.",
        "",
    ]
    for part in _parts(schema.App):
        lines += [f"## {_TITLES.get(part.__name__, part.__name__)}", "", (part.__doc__ or "").strip(), ""]
        lines += list(_fields(part))
        if part is schema.App:
            lines += [f"- **environments** (mapping): {ENVIRONMENTS}"]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def services_json_text() -> str:
    """The JSON Schema of a file in `services.d`, as the file that is published."""
    document: dict[str, Any] = _readable(host_schema.File.model_json_schema())
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["$id"] = "urn:pierhead:services.d"
    document["title"] = "A file in services.d"
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def services_markdown() -> str:
    """Every field of a file in `services.d` with its type, default and effect."""
    lines = [
        "# Files in services.d",
        "",
        "Generated from `src/pierhead/appfile/host_schema.py`. How they are used",
        "is in [guides/hosts.md](../guides/hosts.md). Keys that begin with `x-` are yours; durations are written",
        "`30s`, `2m`.",
        "",
    ]
    for part in (host_schema.File, host_schema.Service, host_schema.Check):
        lines += [f"## {part.__name__}", "", (part.__doc__ or "").strip(), "", *_fields(part), ""]
    return "\n".join(lines).rstrip() + "\n"


def _parts(kind: type[schema.Part]) -> Iterator[type[schema.Part]]:
    yield kind
    yield from (
        schema.Build,
        schema.Port,
        schema.Health,
        schema.Resources,
        schema.Reserve,
        schema.Volume,
        schema.Deploy,
        schema.Stage,
        schema.Gate,
        schema.Hooks,
        schema.Placement,
        schema.Test,
        schema.TestService,
    )


def _fields(part: type[schema.Part]) -> Iterator[str]:
    properties = _readable(part.model_json_schema())["properties"]
    for name, field in part.model_fields.items():
        needed = ", needed" if field.is_required() else ""
        text = " ".join((field.description or "").split())
        yield f"- **{name}** ({_type(properties[name])}{needed}{_default(properties[name])})" + (
            f": {text}" if text else ""
        )


def _type(prop: Mapping[str, Any]) -> str:
    if "enum" in prop:
        return " or ".join(f"`{value}`" for value in prop["enum"])
    if "const" in prop:
        return f"`{prop['const']}`"
    if "$ref" in prop:
        return str(prop["$ref"]).rpartition("/")[2]
    if alternatives := prop.get("anyOf") or prop.get("oneOf"):
        return " or ".join(_type(found) for found in alternatives if found.get("type") != "null")
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
    }
    return names[str(prop["type"])]


def _default(prop: Mapping[str, Any]) -> str:
    default = prop.get("default")
    if default is None:
        return ""
    return f", default `{default if isinstance(default, str) else json.dumps(default)}`"


def _readable(value: Any) -> Any:
    """`value` with defaults as the file has them (pydantic writes the duration `2m` as `PT2M`), without titles."""
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {key: _readable(inner) for key, inner in value.items() if not (key == "title" and isinstance(inner, str))}
    default = found.get("default")
    if isinstance(default, str) and default.startswith("PT"):
        found["default"] = default[2:].lower()
    elif default in (None, {}, []) or isinstance(default, dict):
        found.pop("default", None)
    return found


def _overlay(part: Mapping[str, Any]) -> dict[str, Any]:
    """The same part where nothing is needed and everything may be null."""
    found: dict[str, Any] = _renamed(copy.deepcopy(dict(part)))
    found.pop("required", None)
    properties = found.get("properties", {})
    found["properties"] = {name: {"anyOf": [prop, {"type": "null"}]} for name, prop in properties.items()}
    for prop in properties.values():
        if isinstance(prop.get("additionalProperties"), dict):
            prop["additionalProperties"] = {"anyOf": [prop["additionalProperties"], {"type": "null"}]}
    return found


def _renamed(value: Any) -> Any:
    """`value` with every reference to a part leading to its overlay."""
    if isinstance(value, dict):
        return {key: f"{inner}Overlay" if key == "$ref" else _renamed(inner) for key, inner in value.items()}
    return [_renamed(inner) for inner in value] if isinstance(value, list) else value
