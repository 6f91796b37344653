"""Who may do what. Without a root token everybody may do everything. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.catalog.reply import Rejected
from pierhead.catalog.request import Request

_OPEN = ("/v1/status/", "/v1/agent/self")


@dataclass(frozen=True, slots=True)
class Scope:
    """A token that may read everything outside the key-value store and, within `keys`, read and write pairs."""

    token: str
    keys: str = ""
    """The prefix of the keys that it may read and write; empty: none."""
    writes: bool = False
    """It may register and change services, checks and sessions."""


@dataclass(frozen=True, slots=True)
class Tokens:
    root: str = ""
    scopes: Sequence[Scope] = ()

    def check(self, request: Request) -> None:
        """Nothing, for a request that its token allows. Raises: Rejected 403, as Consul does."""
        if not self.root or _is_same(request.token, self.root):
            return
        if not request.token and request.path.startswith(_OPEN) and request.method == "GET":
            return
        for scope in self.scopes:
            if _is_same(request.token, scope.token):
                if _allows(scope, request):
                    return
                break
        raise Rejected(403, "Permission denied" if request.token else "Permission denied: token is missing")


def _allows(scope: Scope, request: Request) -> bool:
    if request.path.startswith("/v1/kv/"):
        return bool(scope.keys) and request.path.removeprefix("/v1/kv/").startswith(scope.keys)
    if request.path == "/v1/txn":
        return False
    return scope.writes or request.method == "GET"


def _is_same(given: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())
