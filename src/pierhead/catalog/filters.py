"""Consul's filter expressions (the bexpr grammar) on the shapes of answers. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError, UnexpectedInput, VisitError

from pierhead.catalog import fields, patterns, request
from pierhead.catalog.fields import Struct
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
_INTEGER = re.compile(r"-?[0-9]+")

Predicate = Callable[[Any], bool]
Path = tuple[str, ...]


def select(expression: str, shapes: Sequence[Any], of: Struct) -> list[Any]:
    """The shapes for which the expression holds; `of` says what their fields are.

    Raises: Rejected 400 with Consul's words for an expression that is none or does not fit the fields.
    """
    predicate = _compiled(expression, of)
    return [shape for shape in shapes if predicate(shape)]


@lru_cache(maxsize=256)
def _compiled(expression: str, of: Struct) -> Predicate:
    try:
        predicate: Predicate = _Builder(of).transform(_PARSER.parse(expression))
    except UnexpectedInput as error:
        at = f"{error.line}:{error.column}: " if error.line > 0 else ""
        raise _rejected(f"{at}no match found") from None
    except VisitError as error:
        raise _rejected(str(error.orig_exc)) from None
    except LarkError as error:
        raise _rejected(str(error).splitlines()[0]) from None
    return predicate


def _rejected(reason: str) -> Rejected:
    return Rejected(400, f"Failed to create boolean expression evaluator: {reason}")


def _at(shape: Any, path: Path, of: Any) -> list[Any]:
    """What the path leads to: one value, or one for each element of every list on the way; no such key: none."""
    if not path:
        return [fields.default(of) if shape is None else shape]
    if isinstance(of, fields.ListOf):
        return [value for each in shape or () for value in _at(each, path, of.item)]
    if isinstance(of, fields.MapOf):
        return _at(shape[path[0]], path[1:], of.value) if shape and path[0] in shape else []
    return _at((shape or {}).get(path[0]), path[1:], of.fields[path[0]])


def _not(predicate: Predicate) -> Predicate:
    return lambda shape: not predicate(shape)


class _Builder(Transformer[Token, Predicate]):
    """From the tree to a predicate; each public method is a rule of the grammar."""

    def __init__(self, of: Struct) -> None:
        super().__init__()
        self._of = of

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
        return self._is(parts, "Equal")

    def unequal(self, parts: list[Any]) -> Predicate:
        return _not(self._is(parts, "Not Equal"))

    def empty(self, parts: list[Any]) -> Predicate:
        return self._is_empty(parts, "Is Empty")

    def filled(self, parts: list[Any]) -> Predicate:
        return _not(self._is_empty(parts, "Is Not Empty"))

    def contains(self, parts: list[Any]) -> Predicate:
        return self._contains(parts, "In")

    def lacks(self, parts: list[Any]) -> Predicate:
        return _not(self._contains(parts, "Not In"))

    def inside(self, parts: list[Any]) -> Predicate:
        return self._contains([parts[1], parts[0]], "In")

    def outside(self, parts: list[Any]) -> Predicate:
        return _not(self._contains([parts[1], parts[0]], "Not In"))

    def matches(self, parts: list[Any]) -> Predicate:
        return self._matches(parts, "Matches")

    def mismatches(self, parts: list[Any]) -> Predicate:
        return _not(self._matches(parts, "Not Matches"))

    def _is(self, parts: list[Any], operator: str) -> Predicate:
        wanted = _coerced(parts[0], parts[1], self._kind(parts[0], operator))
        return self._any(parts[0], lambda value: value == wanted)

    def _is_empty(self, parts: list[Any], operator: str) -> Predicate:
        self._kind(parts[0], operator)
        return lambda shape: not any(_at(shape, parts[0], self._of))

    def _contains(self, parts: list[Any], operator: str) -> Predicate:
        self._kind(parts[0], operator)
        return self._any(parts[0], lambda value: value is not None and parts[1] in value)

    def _matches(self, parts: list[Any], operator: str) -> Predicate:
        self._kind(parts[0], operator)
        try:
            fits = patterns.search(parts[1])
        except ValueError as error:
            raise fields.Unfit(f"Failed to compile regular expression {json.dumps(parts[1])}: {error}") from None
        return self._any(parts[0], fits)

    def _kind(self, path: Path, operator: str) -> Any:
        found = fields.kind(self._of, path)
        if operator not in fields.operators(found):
            raise fields.Unfit(f'Invalid match operator "{operator}" for selector "{".".join(path)}"')
        return found

    def _any(self, path: Path, test: Callable[[Any], bool]) -> Predicate:
        return lambda shape: any(test(value) for value in _at(shape, path, self._of))


def _coerced(path: Path, text: str, of: Any) -> Any:
    """The text as a value of that kind. Raises: Unfit with Go's words."""
    if of == fields.NUMBER and _INTEGER.fullmatch(text):
        return int(text)
    if of == fields.FLAG and text in (*request.TRUE, *request.FALSE):
        return text in request.TRUE
    if of == fields.TEXT:
        return text
    parser = "ParseInt" if of == fields.NUMBER else "ParseBool"
    reason = f"strconv.{parser}: parsing {json.dumps(text)}: invalid syntax"
    raise fields.Unfit(f'Failed to coerce value {json.dumps(text)} for selector "{".".join(path)}": {reason}')


def _unquoted(token: Token) -> str:
    text = str(token)[1:-1]
    return text if token.startswith("`") else re.sub(r"\\(.)", r"\1", text)
