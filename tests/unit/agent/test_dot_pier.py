from __future__ import annotations

import json
import os
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.agent_parts import NODE, container

from pierhead.agent import dot_pier, own
from pierhead.agent.dot_pier import DotPier
from pierhead.model.instance import Label

PORTS = [
    {"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"},
    {"name": "rpc", "port": 20880, "protocol": "dubbo", "service": "notes-dev-rpc"},
]
NOTES = container(
    {"8000/tcp": [("0.0.0.0", 32768)], "20880/tcp": [("0.0.0.0", 32769)]},
    labels={
        Label.CLUSTER: "pier",
        Label.APP: "notes",
        Label.ENVIRONMENT: "dev",
        Label.RELEASE: "v3",
        Label.PORTS: json.dumps(PORTS),
    },
)


def test_a_container_is_told_where_it_is_reached() -> None:
    assert dot_pier.variables(NODE, NOTES, own.endpoints(NODE, NOTES)) == {
        "PIER_HOST_IP": "10.0.0.5",
        "HOST_IP": "10.0.0.5",
        "PIER_NODE": "n1",
        "PIER_INSTANCE": "c" * 64,
        "PIER_APP": "notes",
        "PIER_ENVIRONMENT": "dev",
        "PIER_RELEASE": "v3",
        "PIER_HOST_PORT_8000": "32768",
        "PIER_HOST_PORT_20880": "32769",
        "DUBBO_IP_TO_REGISTRY": "10.0.0.5",
        "DUBBO_PORT_TO_REGISTRY": "32769",
        "DUBBO_PORT_TO_BIND": "20880",
        "RPC_DUBBO_IP_TO_REGISTRY": "10.0.0.5",
        "RPC_DUBBO_PORT_TO_REGISTRY": "32769",
        "RPC_DUBBO_PORT_TO_BIND": "20880",
    }


def test_whatever_a_value_holds_a_shell_reads_it_back() -> None:
    value = "a 'b' \"c\" $(d) `e` \\ f"
    script = dot_pier.text({"X": value}) + 'printf %s "$X"'
    assert subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True).stdout == value


@pytest.mark.parametrize(("kinds", "is_static"), [([1, 1], True), ([1, 3, 1], False), ([], True)])
def test_a_program_without_a_loader_is_static(kinds: list[int], is_static: bool) -> None:
    head = bytearray(64)
    head[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, len(kinds))
    assert (
        dot_pier.is_static(bytes(head) + b"".join(struct.pack("<I", kind) + bytes(52) for kind in kinds)) is is_static
    )


def test_what_is_no_program_is_not_static() -> None:
    assert not dot_pier.is_static(b"#!/bin/sh\n")


def test_the_folder_holds_what_runs(tmp_path: Path) -> None:
    folder = DotPier(tmp_path)
    folder.prepare()
    mine = replace(NOTES, pid=os.getpid())
    folder.publish(NODE, mine, own.endpoints(NODE, mine))
    folder.publish(NODE, replace(mine, id="d" * 64), [])
    (one,) = tmp_path.glob(f"instances/{'c' * 64}-*.env")
    assert "PIER_HOST_PORT_8000=32768\n" in one.read_text()
    assert one.stat().st_mode & 0o777 == 0o644
    folder.keep({mine.id})
    assert list(tmp_path.glob("instances/*.env")) == [one]
    folder.withdraw(mine.id)
    assert not one.exists()


def test_a_container_of_another_machine_is_left_out(tmp_path: Path) -> None:
    folder = DotPier(tmp_path)
    folder.prepare()
    folder.publish(NODE, replace(NOTES, pid=0), [])
    assert list(tmp_path.glob("instances/*")) == []
