"""How a docker client is asked for BuildKit."""

from __future__ import annotations

import pytest

from pierhead.wire.docker import buildkit
from pierhead.wire.docker.images import Build


@pytest.mark.parametrize(
    ("version", "is_built_in"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", True),
        ("Docker version 28.2.2, build e6534b4", False),
        ("Docker version 23.0.0, build 1", False),
        ("", False),
    ],
)
def test_only_old_clients_have_it_built_in(version: str, is_built_in: bool) -> None:
    assert buildkit.built_in(version) is is_built_in


def test_no_secret_is_an_argument_and_no_argument_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ada:secret@proxy:3128")
    args = {"WHO": "Ada", "LD_PRELOAD": "/tmp/evil.so", "https_proxy": "http://ada:secret@proxy:3128"}
    asked = buildkit.arguments(Build("shop:1", target="web", args=args, labels={"a": "b"}), {"token": 7})
    assert list(asked) == [
        "build",
        "--progress=plain",
        "--tag=shop:1",
        "--file=Dockerfile",
        "--target=web",
        "--build-arg=WHO=Ada",
        "--build-arg=LD_PRELOAD=/tmp/evil.so",
        "--build-arg=https_proxy",
        "--label=a=b",
        "--secret=id=token,src=/proc/self/fd/7",
        "-",
    ]
