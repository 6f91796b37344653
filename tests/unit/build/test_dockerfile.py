"""What Pierhead reads of a Dockerfile before the engine does."""

from __future__ import annotations

import pytest

from pierhead.build import dockerfile
from pierhead.build.dockerfile import How
from pierhead.model.app import BuildSpec


def test_bases_of_pierheads_own_are_found() -> None:
    text = """\
ARG PIER_REGISTRY
FROM ${PIER_REGISTRY}/base/python-build:bookworm AS build
FROM --platform=linux/amd64 $PIER_REGISTRY/base/python
from ${PIER_REGISTRY}/base/python:bookworm
FROM ${PIER_REGISTRY}/base/external/x
FROM debian:12
"""
    assert dockerfile.own_bases(text) == ["python-build", "python"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM x\nRUN --mount=type=cache,target=/root/.cache pip install .\n", "RUN --mount"),
        ("FROM x\n  run  --mount=type=secret,id=a cat /run/secrets/a\n", "run --mount"),
        ("FROM x\nCOPY --chmod=755 a /a\n", "COPY --chmod"),
        ("FROM x\nCOPY --link a /a\n", "COPY --link"),
        ("FROM x\nRUN <<EOF\necho\nEOF\n", "RUN <<E"),
        ("# syntax=docker/dockerfile:1\nFROM x\nCOPY --from=y --chown=1:1 a /a\nRUN echo $((1<<2))\n", ""),
    ],
)
def test_buildkit_is_taken_where_the_classic_builder_is_not_enough(text: str, reason: str) -> None:
    assert dockerfile.needs_buildkit(text, BuildSpec()) == reason
    assert dockerfile.needs_buildkit(text, BuildSpec(secrets=("token",))) == "build.secrets"


def test_what_changes_the_image_changes_the_tag() -> None:
    def tag(spec: BuildSpec) -> str:
        return How("app", "c" * 40, spec, {}).tag

    specs = [BuildSpec(), BuildSpec(target="x"), BuildSpec(args={"A": "1"}), BuildSpec(dockerfile="D")]
    assert len({tag(spec) for spec in specs}) == 4
    assert tag(BuildSpec(args={"A": "1", "B": "2"})) == tag(BuildSpec(args={"B": "2", "A": "1"}))
