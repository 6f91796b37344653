"""What Pierhead reads of a Dockerfile before the engine does."""

from __future__ import annotations

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


def test_what_changes_the_image_changes_the_tag() -> None:
    def tag(spec: BuildSpec) -> str:
        return How("app", "c" * 40, spec, {}).tag

    specs = [BuildSpec(), BuildSpec(target="x"), BuildSpec(args={"A": "1"}), BuildSpec(dockerfile="D")]
    assert len({tag(spec) for spec in specs}) == 4
    assert tag(BuildSpec(args={"A": "1", "B": "2"})) == tag(BuildSpec(args={"B": "2", "A": "1"}))
