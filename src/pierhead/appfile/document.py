"""YAML as data that remembers its lines. Knows nothing of what an app file may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_LARGEST_BYTES = 1 << 20
_MOST_VALUES = 20_000
_DEEPEST = 50
_MERGE = "tag:yaml.org,2002:merge"
_CORE = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map"))
_AS_TEXT = frozenset(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value"))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one path. `line` is known only where the path alone would not tell."""

    path: Path
    reason: str
    hint: str = ""
    line: int = 0


@dataclass(slots=True)
class Document:
    """The data, the line of every path, and every scalar as it was written."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of `path`, or of what it is in when it is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: bytes) -> Document:
    """The one document in `text`. What could not be read is left out of the data and told in `faults`."""
    document = Document()
    try:
        node = _compose(text)
        if node is not None:
            document.data = _Reader(document).value(node, ())
    except _Unreadable as error:
        document.faults.append(Fault((), str(error), line=error.line))
    return document


class _Unreadable(Exception):
    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


def _compose(text: bytes) -> yaml.Node | None:
    if len(text) > _LARGEST_BYTES:
        raise _Unreadable("is larger than 1 MiB")
    try:
        return yaml.compose(text.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise _Unreadable("is not UTF-8", text[: error.start].count(b"\n") + 1) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Unreadable(f"is not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise _Unreadable(f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _Unreadable("is nested too deeply") from None


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def value(self, node: yaml.Node, path: Path, line: int = 0) -> Any:
        line = line or node.start_mark.line + 1
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _Unreadable(f"holds more than {_MOST_VALUES} values once its aliases are followed", line)
        if len(path) > _DEEPEST:
            raise _Unreadable("is nested too deeply, or an alias contains itself", line)
        self._document.lines[path] = line
        if isinstance(node, yaml.MappingNode) and node.tag in _CORE:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag in _CORE:
            return [self.value(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, line)
        self._fault(path, f"tags are not used here: {node.tag}", line)
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        line = self._document.lines[path]
        for merged in _merged(node):
            found = {**self._merged_value(merged, path), **found}
        self._document.lines[path] = line
        own: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._fault(path, "a key must be a text", line)
            elif key.value in own:
                self._fault((*path, key.value), f"is given twice, first in line {own[key.value]}", line)
            else:
                own[key.value] = line
                found[key.value] = self.value(value, (*path, key.value), line)
        return found

    def _merged_value(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        value = self.value(node, path)
        if isinstance(value, dict):
            return value
        self._fault((*path, "<<"), "must be an alias of a mapping", node.start_mark.line + 1)
        return {}

    def _scalar(self, node: yaml.ScalarNode, path: Path, line: int) -> Any:
        self._document.written[path] = node.value
        if node.tag in _AS_TEXT:
            return node.value
        if node.tag not in _CORE:
            self._fault(path, f"tags are not used here: {node.tag}", line)
            return None
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, yaml.YAMLError):
            self._fault(path, f"{node.value!r} cannot be read as {node.tag.rpartition(':')[2]}", line)
            return None

    def _fault(self, path: Path, reason: str, line: int) -> None:
        self._document.faults.append(Fault(path, reason, line=line))


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    for key, value in node.value:
        if key.tag == _MERGE:
            yield from value.value if isinstance(value, yaml.SequenceNode) else [value]


def merge(base: Any, overlay: Any) -> Any:
    """`overlay` on `base`: mappings are merged by key, everything else is replaced, null removes."""
    if not isinstance(base, Mapping) or not isinstance(overlay, Mapping):
        return _without_nulls(overlay)
    found = dict(base)
    for key, value in overlay.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge(base.get(key), value)
    return found


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value
