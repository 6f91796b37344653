"""When installers are asked again beside a compiler."""

from __future__ import annotations

import pytest

from pierhead.build import dependencies


@pytest.mark.parametrize(
    "line",
    [
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "error: command 'gcc' failed with exit code 1",
        "  ERROR: Failed building wheel for psutil",
        "src/x.c:1:10: fatal error: Python.h: No such file or directory",
        "npm ERR! gyp ERR! stack Error: not found: make",
        "Error: pg_config executable not found.",
    ],
)
def test_a_missing_compiler_is_recognised(line: str) -> None:
    assert dependencies.needs_compiler([line])


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: No matching distribution found for blinker==999",
        "npm ERR! 404 Not Found",
        "ERROR: THESE PACKAGES DO NOT",
    ],
)
def test_nothing_else_is(line: str) -> None:
    assert not dependencies.needs_compiler(["Collecting gcc-helper==1.0", line])
