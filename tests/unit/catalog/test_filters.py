from __future__ import annotations

import pytest

from pierhead.catalog import filters
from pierhead.catalog.fields import FLAG, NUMBER, TEXT, ListOf, MapOf, Struct
from pierhead.catalog.reply import Rejected

SHAPE = {
    "Service": {"ID": "a:b:80", "Port": 80, "Tags": ["x", "y z"], "Meta": {"k": "v", "a-b": "c"}, "On": True},
    "Checks": [{"Status": "passing"}, {"Status": "critical"}],
    "Empty": [],
}

CHECK = Struct({"Status": TEXT})
SERVICE = Struct(
    {"ID": TEXT, "Kind": TEXT, "Port": NUMBER, "Tags": ListOf(TEXT), "Meta": MapOf(TEXT), "On": FLAG, "Off": FLAG}
)
OF = Struct({"Service": SERVICE, "Checks": ListOf(CHECK), "Empty": ListOf(CHECK), "a": TEXT})


@pytest.mark.parametrize(
    "expression",
    [
        'Service.Kind == ""',
        "Service.Off == false",
        "Service.Meta.absent != v",
        '":b:" in Service.ID',
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
    assert filters.select(expression, [SHAPE], OF) == [SHAPE]
    assert filters.select(f"not ({expression})", [SHAPE], OF) == []


@pytest.mark.parametrize("expression", ["abc", "Service ==", "== x", "a b c", "(a == b", 'a matches "("', "a == b or"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(Rejected, match="boolean expression"):
        filters.select(expression, [SHAPE], OF)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Bogus == 1", 'Selector "Bogus" is not valid'),
        ("Service.Meta.k.z == 1", 'Selector "Service.Meta.k.z" is not valid'),
        ("Checks.Bogus == 1", 'Selector "Checks.Bogus" is not valid'),
        ("Service.Port == x", 'coerce value "x" for selector "Service.Port": strconv.ParseInt: parsing "x": invalid'),
        (
            "Service.On == yes",
            'coerce value "yes" for selector "Service.On": strconv.ParseBool: parsing "yes": invalid',
        ),
        ("Service.Port matches 8", 'Invalid match operator "Matches" for selector "Service.Port"'),
        ("Service.Tags == x", 'Invalid match operator "Equal" for selector "Service.Tags"'),
        ("Service.ID is empty", 'Invalid match operator "Is Empty" for selector "Service.ID"'),
        ("Checks == x", 'Invalid match operator "Equal" for selector "Checks"'),
        ('a matches "("', 'compile regular expression "(": '),
    ],
)
def test_what_does_not_fit_the_fields_is_refused_in_consul_s_words(expression: str, said: str) -> None:
    with pytest.raises(Rejected) as refused:
        filters.select(expression, [], OF)
    assert said in refused.value.message


def test_no_pattern_takes_longer_than_its_text() -> None:
    shape = {"a": "a" * 5000 + "b"}
    assert filters.select('a matches "^(a+)+$"', [shape], OF) == []
