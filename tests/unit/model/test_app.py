from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pierhead.model.app import BuildSpec, Spec

SPEC = TypeAdapter(Spec)

TEXTS = st.dictionaries(st.text(), st.text())
SPECS = st.builds(Spec, env=TEXTS, labels=TEXTS, build=st.builds(BuildSpec, args=TEXTS))

st.register_type_strategy(timedelta, st.integers(0, 10**9).map(lambda number: timedelta(milliseconds=number)))


@given(SPECS)
def test_a_spec_is_read_back_from_json(spec: Spec) -> None:
    assert SPEC.validate_json(SPEC.dump_json(spec)) == spec
    assert SPEC.validate_python(SPEC.dump_python(spec, mode="json")) == spec
