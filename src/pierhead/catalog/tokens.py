"""Who may do what, by Consul's own rules: a kind, a name or a prefix, and `read`, `write` or `deny`. Pure.

Without a root token everybody may do everything. With one, a token that is not known is refused, and so is whoever
shows none, unless there is a grant for them: an empty answer would look as if nothing were registered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.catalog.reply import Rejected
from pierhead.catalog.request import Request

DENY, READ, WRITE = "deny", "read", "write"

LEVELS = {DENY: 0, READ: 1, "list": 1, WRITE: 2}
"""`list` is Consul's word for reading keys by their prefix, which `read` allows here too."""

NAMED = ("agent", "event", "key", "node", "query", "service", "session")
"""Kinds whose rules have a name or a prefix."""

PLAIN = ("operator",)
"""Kinds that are one thing."""

_OPEN = ("/v1/status/", "/v1/catalog/datacenters")
_ROOT_PAGE = "/"


@dataclass(frozen=True, slots=True)
class Rule:
    kind: str
    name: str
    level: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and its rules. What no rule allows is denied."""

    name: str
    secret: str
    """Empty: whoever shows no token."""
    rules: tuple[Rule, ...] = ()


class Access:
    """What the token of one request allows. An exact rule comes before a prefix, a longer prefix before a shorter."""

    def __init__(self, name: str, rules: Sequence[Rule] = (), *, is_root: bool = False) -> None:
        self.name = name
        self.is_root = is_root
        self._exact = {(rule.kind, rule.name): LEVELS[rule.level] for rule in rules if not rule.is_prefix}
        prefixes = sorted((rule for rule in rules if rule.is_prefix), key=lambda rule: -len(rule.name))
        self._prefixes = [(rule.kind, rule.name, LEVELS[rule.level]) for rule in prefixes]

    def reads(self, kind: str, name: str) -> bool:
        return self.is_root or self._level(kind, name) >= LEVELS[READ]

    def writes(self, kind: str, name: str) -> bool:
        return self.is_root or self._level(kind, name) >= LEVELS[WRITE]

    def writes_all(self, kind: str, prefix: str) -> bool:
        """Everything that begins with `prefix` may be written."""
        inside = [level for (of, name), level in self._exact.items() if of == kind and name.startswith(prefix)]
        inside += [level for of, name, level in self._prefixes if of == kind and name.startswith(prefix)]
        around = self._by_prefix(kind, prefix)
        return self.is_root or all(level >= LEVELS[WRITE] for level in (*inside, around))

    def require_read(self, kind: str, name: str = "") -> None:
        """Nothing, when it may be read. Raises: Rejected 403."""
        if not self.reads(kind, name):
            raise denied()

    def require_write(self, kind: str, name: str = "") -> None:
        """Nothing, when it may be written. Raises: Rejected 403."""
        if not self.writes(kind, name):
            raise denied()

    def require_own(self, kind: str, name: str) -> None:
        """As `require_write`, for what the agent holds: the refusal names the rule that is missing, as Consul's."""
        if not self.writes(kind, name):
            raise Rejected(403, f"Permission denied: Missing {kind}:write on {name}")

    def _level(self, kind: str, name: str) -> int:
        exact = self._exact.get((kind, name))
        return self._by_prefix(kind, name) if exact is None else exact

    def _by_prefix(self, kind: str, name: str) -> int:
        return next((level for of, prefix, level in self._prefixes if of == kind and name.startswith(prefix)), 0)


ROOT = Access("", is_root=True)


class Tokens:
    """The root token and the grants. `root` empty: everybody has `ROOT`."""

    def __init__(self, root: str = "", grants: Sequence[Grant] = ()) -> None:
        self._is_open = not root
        self._known = {_digest(grant.secret): Access(grant.name, grant.rules) for grant in grants}
        if root:
            self._known[_digest(root)] = ROOT

    def access(self, request: Request) -> Access:
        """What the request's token allows. Raises: Rejected 403 with Consul's words."""
        if self._is_open or request.path.startswith(_OPEN) or request.path == _ROOT_PAGE:
            return ROOT
        token = request.token
        found = self._known.get(_digest(token))
        if found is None:
            raise Rejected(403, "ACL not found") if token else denied()
        return found


def denied() -> Rejected:
    return Rejected(403, "Permission denied")


def _digest(secret: str) -> bytes:
    """Found by its digest, a token cannot be guessed letter by letter from how long the answer takes."""
    return hashlib.sha256(secret.encode()).digest()
