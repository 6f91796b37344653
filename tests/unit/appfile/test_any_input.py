"""Whatever is given, the answer is an app file or a refusal with places."""

import re
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pierhead import appfile
from pierhead.appfile import schema
from pierhead.kit import errors
from pierhead.model.app import Spec

KEYS = sorted(
    {"environments", "x-own", "web", "dev", "<<", "", "[key]", "|text"}
    | {
        name
        for part in (schema.App, schema.Build, schema.Port, schema.Health, schema.Volume, schema.Deploy)
        for name in part.model_fields
    }
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        ["a", "web", "http", "tcp", "none", "/", "/a", "30s", "256MiB", "a.example", "*.a", "1.10", "rolling"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


def outcome(text: bytes) -> Spec | None:
    """The spec; None for a refusal that names a place for each problem."""
    try:
        file = appfile.read(text)
        return {environment: file.spec(environment) for environment in ("dev", *file.environments())}["dev"]
    except errors.Invalid as error:
        refusal = error
    assert refusal.problems
    assert all(re.match(r"pier\.yaml:\d+", problem.place) for problem in refusal.problems)
    assert all(problem.reason for problem in refusal.problems)
    return None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes(text: bytes) -> None:
    outcome(text)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_any_values_under_known_keys(value: dict[str, Any]) -> None:
    outcome(yaml.safe_dump({"app": "a", **value}, sort_keys=False).encode())


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "ports": st.dictionaries(st.sampled_from(["web", "db"]), st.just({"port": 80}) | VALUES, max_size=2),
            "health": st.just("none") | VALUES,
            "environments": st.dictionaries(st.sampled_from(["dev", "x-own"]), VALUES, max_size=2),
            "replicas": st.integers(0, 3),
        },
    )
)
def test_any_values_in_nearly_valid_files(value: dict[str, Any]) -> None:
    found = outcome(yaml.safe_dump({"app": "a", **value}, sort_keys=False).encode())
    assert found is None or found.app == "a"
