from __future__ import annotations

import pytest

from pierhead.catalog import filters
from pierhead.catalog.reply import Rejected

SHAPE = {
    "Service": {"ID": "a:b:80", "Port": 80, "Tags": ["x", "y z"], "Meta": {"k": "v", "a-b": "c"}, "On": True},
    "Checks": [{"Status": "passing"}, {"Status": "critical"}],
    "Empty": [],
}


@pytest.mark.parametrize(
    "expression",
    [
        'Service.ID == "a:b:80"',
        "Service.Port == 80",
        "Service.On == true",
        "Service.Meta.k == v",
        'Service.Meta["a-b"] == c',
        '"x" in Service.Tags',
        "`y z` in Service.Tags",
        "Service.Tags contains x",
        'Service.Tags not contains "q"',
        "q not in Service.Tags",
        "k in Service.Meta",
        "Empty is empty",
        "Service.Tags is not empty",
        'Service.ID matches "^a:.*0$"',
        'Service.ID not matches "^b"',
        "Checks.Status == critical",
        "Service.Port == 1 or Service.Port == 80 and not (Service.Meta.k != v)",
        "not Service.Port == 1",
    ],
)
def test_an_expression_that_holds(expression: str) -> None:
    assert filters.select(expression, [SHAPE]) == [SHAPE]
    assert filters.select(f"not ({expression})", [SHAPE]) == []


@pytest.mark.parametrize("expression", ["abc", "Service ==", "== x", "a b c", "(a == b", 'a matches "("', "a == b or"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(Rejected, match="boolean expression"):
        filters.select(expression, [SHAPE])
