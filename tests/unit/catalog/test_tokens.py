from __future__ import annotations

import pytest

from pierhead.catalog import request
from pierhead.catalog.reply import Rejected
from pierhead.catalog.request import Request
from pierhead.catalog.tokens import ROOT, Access, Grant, Rule, Tokens

RULES = (
    Rule("key", "app/", "write", is_prefix=True),
    Rule("key", "app/ro/", "read", is_prefix=True),
    Rule("key", "app/secret", "deny"),
    Rule("service", "web", "write"),
    Rule("service", "", "read", is_prefix=True),
    Rule("operator", "", "read"),
)
TOKENS = Tokens("root", (Grant("app", "secret-of-app", RULES),))


def asked(token: str, path: str = "/v1/catalog/services") -> Request:
    return request.parse("GET", path, {"x-consul-token": token}, b"")


@pytest.mark.parametrize(
    ("kind", "name", "reads", "writes"),
    [
        ("key", "app/x", True, True),
        ("key", "app/ro/x", True, False),
        ("key", "app/secret", False, False),
        ("key", "app/secret2", True, True),
        ("key", "other", False, False),
        ("service", "web", True, True),
        ("service", "web2", True, False),
        ("node", "any", False, False),
        ("operator", "", True, False),
    ],
)
def test_the_closest_rule_decides(kind: str, name: str, reads: bool, writes: bool) -> None:
    access = Access("app", RULES)
    assert (access.reads(kind, name), access.writes(kind, name)) == (reads, writes)


@pytest.mark.parametrize(("prefix", "may"), [("app/x/", True), ("app/", False), ("app/ro/", False), ("", False)])
def test_all_below_a_prefix_may_be_written_only_where_nothing_below_is_not(prefix: str, may: bool) -> None:
    assert Access("app", RULES).writes_all("key", prefix) is may
    assert ROOT.writes_all("key", prefix)


def test_a_token_leads_to_its_access() -> None:
    assert TOKENS.access(asked("root")) is ROOT
    assert TOKENS.access(asked("secret-of-app")).name == "app"
    for token, text in (("wrong", "ACL not found"), ("", "Permission denied")):
        with pytest.raises(Rejected) as refused:
            TOKENS.access(asked(token))
        assert (refused.value.status, refused.value.message) == (403, text)


def test_who_leads_is_told_to_everybody() -> None:
    assert TOKENS.access(asked("", "/v1/status/leader")) is ROOT


def test_whoever_shows_no_token_has_what_is_granted_to_nobody_in_particular() -> None:
    tokens = Tokens("root", (Grant("anonymous", "", (Rule("service", "", "read", is_prefix=True),)),))
    access = tokens.access(asked(""))
    assert (access.reads("service", "web"), access.writes("service", "web")) == (True, False)


def test_without_a_root_token_everybody_may() -> None:
    assert Tokens().access(asked("")) is Tokens().access(asked("any")) is ROOT
