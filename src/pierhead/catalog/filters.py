"""Consul's filter expressions (the bexpr grammar) on the shapes of answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

from pierhead.catalog.reply import Rejected

_GRAMMAR = r"""
?start: or_
?or_: and_ | and_ "or" or_
?and_: not_ | not_ "and" and_
?not_: "not" not_ -> negated
    | "(" or_ ")"
    | match
?match: selector "==" value -> equal
    | selector "!=" value -> unequal
    | selector "is" "empty" -> empty
    | selector "is" "not" "empty" -> filled
    | selector "contains" value -> contains
    | selector "not" "contains" value -> lacks
    | selector "matches" value -> matches
    | selector "not" "matches" value -> mismatches
    | value "in" selector -> inside
    | value "not" "in" selector -> outside
selector: NAME ("." NAME | "." INTEGER | "[" STRING "]")*
value: NAME ("." NAME)* -> word | NUMBER -> word | INTEGER -> word | STRING -> string
NAME: /[a-zA-Z][a-zA-Z0-9_\/-]*/
INTEGER: /-?[0-9]+/
NUMBER: /-?[0-9]+\.[0-9]+/
STRING: /"(?:[^"\\]|\\.)*"/ | /`[^`]*`/
%ignore /[ \t\r\n]+/
"""

_PARSER = Lark(_GRAMMAR, parser="earley")

Predicate = Callable[[Any], bool]
Path = tuple[str, ...]


def select(expression: str, shapes: Sequence[Any]) -> list[Any]:
    """The shapes for which the expression holds. Raises: Rejected 500 with Consul's words for one that is none."""
    predicate = _compiled(expression)
    return [shape for shape in shapes if predicate(shape)]


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Predicate:
    try:
        predicate: Predicate = _Builder().transform(_PARSER.parse(expression))
    except (LarkError, re.error) as error:
        reason = str(error).splitlines()[0]
        raise Rejected(400, f"Failed to create boolean expression evaluator: {reason}") from None
    return predicate


def _at(shape: Any, path: Path) -> list[Any]:
    """What the path leads to: one value, or one for each element of every list on the way; absent: none."""
    found = [shape]
    for name in path:
        found = [value for each in found for value in _step(each, name)]
    return found


def _step(value: Any, name: str) -> list[Any]:
    if isinstance(value, Mapping):
        return [value[name]] if name in value else []
    if isinstance(value, list | tuple):
        return [part for each in value for part in _step(each, name)]
    return []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _any(path: Path, test: Callable[[Any], bool]) -> Predicate:
    return lambda shape: any(test(value) for value in _at(shape, path))


def _not(predicate: Predicate) -> Predicate:
    return lambda shape: not predicate(shape)


class _Builder(Transformer[Token, Predicate]):
    """From the tree to a predicate; each method is a rule of the grammar."""

    def or_(self, parts: list[Predicate]) -> Predicate:
        return lambda shape: any(part(shape) for part in parts)

    def and_(self, parts: list[Predicate]) -> Predicate:
        return lambda shape: all(part(shape) for part in parts)

    def negated(self, parts: list[Predicate]) -> Predicate:
        return _not(parts[0])

    def selector(self, parts: list[Token]) -> Path:
        return tuple(_unquoted(part) if part.type == "STRING" else str(part) for part in parts)

    def word(self, parts: list[Token]) -> str:
        return ".".join(parts)

    def string(self, parts: list[Token]) -> str:
        return _unquoted(parts[0])

    def equal(self, parts: list[Any]) -> Predicate:
        return _any(parts[0], lambda value: _text(value) == parts[1])

    def unequal(self, parts: list[Any]) -> Predicate:
        return _not(self.equal(parts))

    def empty(self, parts: list[Any]) -> Predicate:
        return lambda shape: all(not value for value in _at(shape, parts[0]))

    def filled(self, parts: list[Any]) -> Predicate:
        return _not(self.empty(parts))

    def contains(self, parts: list[Any]) -> Predicate:
        return _any(parts[0], lambda value: value is not None and _holds(value, parts[1]))

    def lacks(self, parts: list[Any]) -> Predicate:
        return _not(self.contains(parts))

    def inside(self, parts: list[Any]) -> Predicate:
        return self.contains([parts[1], parts[0]])

    def outside(self, parts: list[Any]) -> Predicate:
        return _not(self.inside(parts))

    def matches(self, parts: list[Any]) -> Predicate:
        pattern = re.compile(parts[1])
        return _any(parts[0], lambda value: pattern.search(_text(value)) is not None)

    def mismatches(self, parts: list[Any]) -> Predicate:
        return _not(self.matches(parts))


def _holds(value: Any, wanted: str) -> bool:
    if isinstance(value, Mapping | str):
        return wanted in value
    return isinstance(value, list | tuple) and wanted in [_text(each) for each in value]


def _unquoted(token: Token) -> str:
    text = str(token)[1:-1]
    return text if token.startswith("`") else re.sub(r"\\(.)", r"\1", text)
