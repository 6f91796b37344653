"""A start that cannot work says exactly why, and changes nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="the other refusals are seen by root only")]

PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def up(home: Path, settings: Mapping[str, str], *options: str, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    ended = subprocess.run(
        (*prefix, *PIER, "up", "--home", str(home), *options),
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_a_port_that_is_taken_is_named_with_its_process_and_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = up(tmp_path / "pier", {"PIER_API_PORT": str(port)})
    assert code == 5
    assert f"api.port: 127.0.0.1:{port} is taken by" in said
    assert f"(pid {os.getpid()})" in said
    assert "PIER_API_PORT" in said
    assert not (tmp_path / "pier").exists()


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    code, said = up(tmp_path / "pier", {}, "-o", "gateway.host=192.0.2.77")
    assert code == 5
    assert "gateway.http_port: cannot listen on 192.0.2.77:8080: Cannot assign requested address" in said


def test_a_program_that_is_missing_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    code, said = up(tmp_path / "pier", {"PIER_GATEWAY_HAPROXY": "no-such-haproxy"})
    assert code == 4
    assert "no-such-haproxy: is not installed; it carries every request to the apps" in said
    assert not (tmp_path / "pier").exists()


def test_only_root_can_start_it() -> None:
    code, said = up(Path("/var/lib/pierhead-of-nobody"), {}, prefix=NOBODY)
    assert code == 3
    assert "must be started by root" in said


def test_settings_that_are_wrong_are_refused_with_their_place(tmp_path: Path) -> None:
    code, said = up(tmp_path / "pier", {"PIER_API_PORT": "many"}, "-o", "gateway.prt=1")
    assert code == 2
    assert "PIER_API_PORT" in said
    assert "gateway.port" in said or "gateway.http_port" in said


def test_down_touches_nothing_where_no_pierhead_ever_ran(tmp_path: Path) -> None:
    settings = {"PIER_HOME": str(tmp_path / "pier")}
    ended = subprocess.run((*PIER, "down"), env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Pierhead is down.\n", "")
    assert not (tmp_path / "pier").exists()
