"""The registry's configuration says what Pierhead relies on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from pierhead.boot import registry
from pierhead.kit import errors
from pierhead.settings import Registry, Settings


def test_images_can_be_removed_and_only_this_machine_is_answered() -> None:
    told = yaml.safe_load(registry.config(Settings(home=Path("/data"), registry=Registry(port=5001))))
    assert told["http"]["addr"] == "127.0.0.1:5001"
    assert told["storage"]["delete"]["enabled"] is True
    assert told["storage"]["filesystem"]["rootdirectory"] == "/data/registry"
    assert told["log"]["level"] == "warn"
    assert told["auth"]["htpasswd"]["path"] == "/data/run/registry.htpasswd"
    assert told["storage"]["maintenance"]["readonly"]["enabled"] is False
    assert "tls" not in told["http"]


def test_uploads_are_refused_while_garbage_is_collected() -> None:
    told = yaml.safe_load(registry.config(Settings(), read_only=True))
    assert told["storage"]["maintenance"]["readonly"]["enabled"] is True


def test_a_certificate_makes_it_speak_https() -> None:
    own = Registry(host="10.0.0.5", cert_file="/etc/cert.pem", key_file="/etc/key.pem", ca_file="/etc/ca.pem")
    told = yaml.safe_load(registry.config(Settings(registry=own)))
    assert told["http"]["tls"] == {"certificate": "/etc/cert.pem", "key": "/etc/key.pem"}


async def test_uploads_are_taken_again_after_the_window_whatever_happened_in_it() -> None:
    window = registry.Window()

    async def serve() -> None:
        while True:
            wanted = window.wanted
            window.is_now(wanted)
            await window.until_other(wanted)

    serving = asyncio.get_running_loop().create_task(serve())
    async with window.opened():
        assert window.wanted
    with pytest.raises(errors.Failed):
        async with window.opened():
            raise errors.Failed("in the middle")
    serving.cancel()
    assert not window.wanted
