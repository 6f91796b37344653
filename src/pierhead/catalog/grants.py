"""The file of tokens that may do less than the root token. Pure.

    [anonymous]                                    # whoever shows no token
    service_prefix = { "" = "read" }

    [[token]]
    name = "registrator of vm-7"
    secret = "…"
    service_prefix = { "" = "write" }
    node = { "vm-7" = "write" }
    key_prefix = { "pier/" = "read" }
    operator = "read"

Rules are Consul's: `<kind>` and `<kind>_prefix` of agent, event, key, node, query, service and session hold names or
prefixes with `read`, `write` or `deny`; `operator` is one level.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pierhead.catalog.tokens import LEVELS, NAMED, PLAIN, Grant, Rule
from pierhead.kit import errors
from pierhead.kit.errors import Problem

ANONYMOUS = "anonymous"
_PREFIX = "_prefix"
UNFINISHED = "replace-me-"
"""How the secrets of the example in the documentation begin."""
_LEAST_SECRET = 16
_HINT = "docs/guides/catalog.md shows such a file."


def read(text: str, place: str) -> tuple[Grant, ...]:
    """The grants that the text of the file at `place` holds. Raises: Invalid with the place of every mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise errors.Invalid(f"The tokens file {place} is not TOML: {error}", hint=_HINT) from error
    problems: list[Problem] = []
    grants = tuple(_grants(document, problems))
    problems += _twice(grants)
    if problems:
        raise errors.Invalid(f"The tokens file {place} is not valid.", problems=problems, hint=_HINT)
    return grants


def _grants(document: Mapping[str, Any], problems: list[Problem]) -> Iterator[Grant]:
    for name in document.keys() - {ANONYMOUS, "token"}:
        problems.append(Problem(name, "there is no such table: write [anonymous] or [[token]]"))
    tokens = document.get("token", [])
    if not isinstance(tokens, list) or not all(isinstance(each, dict) for each in tokens):
        problems.append(Problem("token", "is a list of tables: write [[token]]"))
        tokens = []
    for number, table in enumerate(tokens, 1):
        yield _token(f"token {number}", table, problems)
    if isinstance(table := document.get(ANONYMOUS), dict):
        yield Grant(ANONYMOUS, "", tuple(_rules(ANONYMOUS, table, problems)))
    elif table is not None:
        problems.append(Problem(ANONYMOUS, "is a table: write [anonymous]"))


def _token(place: str, table: Mapping[str, Any], problems: list[Problem]) -> Grant:
    name, secret = table.get("name"), table.get("secret")
    if not isinstance(name, str) or not name or name == ANONYMOUS:
        problems.append(Problem(f"{place} name", "is needed, a text of its own that says whose token it is"))
        name = ""
    if not isinstance(secret, str) or len(secret) < _LEAST_SECRET:
        reason = f"is needed, a text of at least {_LEAST_SECRET} characters"
        problems.append(Problem(f"{place} secret", reason, "`openssl rand -hex 16` prints one"))
        secret = ""
    elif secret.startswith(UNFINISHED):
        problems.append(Problem(f"{place} secret", "is the example's", "`openssl rand -hex 16` prints one of your own"))
    rules = {key: value for key, value in table.items() if key not in ("name", "secret")}
    return Grant(name, secret, tuple(_rules(f"{place} ({name})" if name else place, rules, problems)))


def _rules(place: str, table: Mapping[str, Any], problems: list[Problem]) -> Iterator[Rule]:
    for key, value in table.items():
        kind = key.removesuffix(_PREFIX)
        if key in PLAIN:
            yield from _rule(Rule(key, "", str(value)), f"{place} {key}", problems)
        elif kind not in NAMED:
            known = ", ".join(f"{name}, {name}{_PREFIX}" for name in NAMED)
            problems.append(Problem(f"{place} {key}", f"there is no such rule: {known}, {', '.join(PLAIN)}"))
        elif not isinstance(value, dict):
            problems.append(Problem(f"{place} {key}", 'must hold names and levels: { "web" = "read" }'))
        else:
            for name, level in value.items():
                rule = Rule(kind, name, str(level), is_prefix=key.endswith(_PREFIX))
                yield from _rule(rule, f"{place} {key} {name!r}", problems)


def _rule(rule: Rule, place: str, problems: list[Problem]) -> Iterator[Rule]:
    if rule.level in LEVELS:
        yield rule
    else:
        problems.append(Problem(place, f"{rule.level!r} is none of {', '.join(LEVELS)}"))


def _twice(grants: tuple[Grant, ...]) -> Iterator[Problem]:
    for what in ("name", "secret"):
        values = [getattr(grant, what) for grant in grants if getattr(grant, what)]
        for value in {each for each in values if values.count(each) > 1}:
            yield Problem("token", f"two tokens have the {what} {value!r}" if what == "name" else "two have one secret")
