"""What the kernel's tables say of who listens. Source: proc(5)."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

from tests.unit.agent.agent_parts import container

from pierhead.agent import listener
from pierhead.agent.endpoint import Endpoint

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
"""


def test_only_sockets_that_listen_at_the_port_count() -> None:
    assert listener.inodes(TCP, 8080) == {"111"}
    assert listener.inodes(TCP, 8082) == set()


def test_control_groups_of_both_versions() -> None:
    assert listener.groups("0::/system.slice/docker-c1.scope\n") == ["system.slice/docker-c1.scope"]
    assert listener.groups("12:pids:/docker/c1\n3:cpu,cpuacct:/docker/c1\n0::/\n") == [
        "pids/docker/c1",
        "cpu/docker/c1",
    ]


def test_nobody_is_called_a_stranger_where_it_cannot_be_told() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        port = opened.getsockname()[1]
        there = container({}, network="host", pid=2**22 + 1)
        endpoint = Endpoint("e", "s", "127.0.0.1", port, f"{port}/tcp")
        assert listener.strangers(there, [endpoint]) == {}
        assert listener.strangers(replace(there, pid=os.getpid(), network="bridge"), [endpoint]) == {}
        assert listener.strangers(replace(there, pid=os.getpid()), [replace(endpoint, container_port="1/udp")]) == {}
