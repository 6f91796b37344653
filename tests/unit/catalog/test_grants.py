from __future__ import annotations

import pytest

from pierhead.catalog import grants
from pierhead.catalog.tokens import Grant, Rule
from pierhead.kit import errors

TEXT = """
[anonymous]
service_prefix = { "" = "read" }

[[token]]
name = "vm-7"
secret = "0123456789abcdef"
node = { "vm-7" = "write" }
key_prefix = { "pier/" = "read", "pier/own/" = "deny" }
operator = "read"
"""


def test_each_token_has_its_rules() -> None:
    assert set(grants.read(TEXT, "tokens.toml")) == {
        Grant("anonymous", "", (Rule("service", "", "read", is_prefix=True),)),
        Grant(
            "vm-7",
            "0123456789abcdef",
            (
                Rule("node", "vm-7", "write"),
                Rule("key", "pier/", "read", is_prefix=True),
                Rule("key", "pier/own/", "deny", is_prefix=True),
                Rule("operator", "", "read"),
            ),
        ),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[token", "not TOML"),
        ("[tokens]", "tokens: there is no such table"),
        ("[token]", "token: is a list of tables"),
        ("anonymous = 1", "anonymous: is a table"),
        ('[[token]]\nsecret = "0123456789abcdef"', "token 1 name: is needed"),
        ('[[token]]\nname = "a"\nsecret = "short"', "token 1 secret: is needed, a text of at least 16"),
        ('[[token]]\nname = "a"\nsecret = "replace-me-agents"', "token 1 secret: is the example's"),
        ('[anonymous]\nservices = { "" = "read" }', "anonymous services: there is no such rule"),
        ('[anonymous]\nservice = "read"', "anonymous service: must hold names and levels"),
        ('[anonymous]\nservice_prefix = { "" = "all" }', "'all' is none of deny, read, list, write"),
        ('[anonymous]\noperator = "all"', "anonymous operator: 'all' is none of"),
        (TEXT + '[[token]]\nname = "vm-7"\nsecret = "fedcba9876543210"', "two tokens have the name 'vm-7'"),
        (TEXT + '[[token]]\nname = "b"\nsecret = "0123456789abcdef"', "two have one secret"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        grants.read(text, "tokens.toml")
    assert said in str(refused.value)
    assert "0123456789abcdef" not in str(refused.value)
