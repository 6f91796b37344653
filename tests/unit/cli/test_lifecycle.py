"""Flags become settings, here and in the process that is started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pierhead.cli import lifecycle
from pierhead.kit import errors
from pierhead.settings import load

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_flags_are_settings_by_their_key() -> None:
    flags = lifecycle.given("/data", ["api.port=1234", "engine.advertise=a=b"])
    assert flags == {"home": "/data", "api.port": "1234", "engine.advertise": "a=b"}
    with pytest.raises(errors.Invalid, match="key=value"):
        lifecycle.given("", ["api.port"])


def test_the_process_in_the_background_has_the_same_settings() -> None:
    flags = lifecycle.given("/data", ["api.port=1234", "catalog.token=secret", "domain=example.com"])
    here = load.load(None, {}, flags)
    assert load.load(None, lifecycle.variables(None, flags), {}) == here
    assert lifecycle.variables(Path("/etc/pier.toml"), {}) == {"PIER_CONFIG": "/etc/pier.toml"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200000, "2 d")]
)
def test_how_long_ago_is_told_in_one_unit(seconds: int, text: str) -> None:
    assert lifecycle.ago(NOON - timedelta(seconds=seconds), NOON) == text
