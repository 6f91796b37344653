"""How an image is started, read from what registries hold."""

from __future__ import annotations

from pierhead.build import started
from pierhead.model.release import ImageConfig


def test_the_config_says_what_becomes_of_a_container() -> None:
    said = {"Entrypoint": ["/app"], "Cmd": ["-v"], "Env": ["PATH=/bin", "OPTIONS=a=b"]}
    assert started.read({"config": said}) == ImageConfig(("/app",), ("-v",), {"PATH": "/bin", "OPTIONS": "a=b"})


def test_what_is_left_out_or_null_is_empty() -> None:
    assert started.read({}) == started.read({"config": {"Entrypoint": None, "Cmd": None, "Env": None}}) == ImageConfig()
