"""The registry's configuration says what Pierhead relies on."""

from __future__ import annotations

from pathlib import Path

import yaml

from pierhead.boot import registry
from pierhead.settings import Registry, Settings


def test_images_can_be_removed_and_only_this_machine_is_answered() -> None:
    told = yaml.safe_load(registry.config(Settings(home=Path("/data"), registry=Registry(port=5001))))
    assert told["http"]["addr"] == "127.0.0.1:5001"
    assert told["storage"]["delete"]["enabled"] is True
    assert told["storage"]["filesystem"]["rootdirectory"] == "/data/registry"
    assert told["log"]["level"] == "warn"
