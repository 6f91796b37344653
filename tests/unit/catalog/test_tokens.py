from __future__ import annotations

import pytest

from pierhead.catalog import request
from pierhead.catalog.reply import Rejected
from pierhead.catalog.tokens import Scope, Tokens

TOKENS = Tokens("root", (Scope("reader"), Scope("writer", keys="pier/", writes=True)))


@pytest.mark.parametrize(
    ("token", "method", "path", "is_allowed"),
    [
        ("root", "PUT", "/v1/kv/any", True),
        ("", "GET", "/v1/status/leader", True),
        ("", "GET", "/v1/catalog/services", False),
        ("wrong", "GET", "/v1/catalog/services", False),
        ("reader", "GET", "/v1/health/service/web", True),
        ("reader", "PUT", "/v1/agent/service/register", False),
        ("reader", "GET", "/v1/kv/pier/routes", False),
        ("writer", "PUT", "/v1/agent/service/register", True),
        ("writer", "PUT", "/v1/kv/pier/routes/x", True),
        ("writer", "PUT", "/v1/kv/other", False),
        ("writer", "PUT", "/v1/txn", False),
    ],
)
def test_a_token_allows_what_it_is_for(token: str, method: str, path: str, is_allowed: bool) -> None:
    asked = request.parse(method, path, {"x-consul-token": token}, b"")
    if is_allowed:
        TOKENS.check(asked)
        return
    with pytest.raises(Rejected) as refused:
        TOKENS.check(asked)
    assert refused.value.status == 403


def test_without_a_root_token_everybody_may() -> None:
    Tokens().check(request.parse("PUT", "/v1/kv/x", {}, b""))
