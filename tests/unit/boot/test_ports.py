"""Who has a port is read from the kernel's own tables."""

from __future__ import annotations

from pierhead.boot import ports
from pierhead.boot.ports import Port
from pierhead.settings import Catalog, Registry, Settings

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1130 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7001 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7002 1 0 100 0 0 10 0
   2: 0100007F:1130 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 7003 1 0 100 0 0 10 0
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0100007F:1165 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8001 2 0 0
"""


def test_only_listening_sockets_count() -> None:
    assert ports.sockets(TCP, 4400, udp=False) == {"7001"}
    assert ports.sockets(TCP, 40000, udp=False) == set()
    assert ports.sockets(UDP, 4453, udp=True) == {"8001"}


def test_a_port_is_wanted_only_by_what_runs_here() -> None:
    assert "registry.port" in {port.setting for port in ports.wanted(Settings())}
    elsewhere = Settings(registry=Registry(address="images:5000"), catalog=Catalog(mode="consul", url="http://c:8500"))
    assert {port.setting for port in ports.wanted(elsewhere)}.isdisjoint({"registry.port", "catalog.port"})


def test_the_defaults_do_not_collide() -> None:
    assert list(ports.twice(list(ports.wanted(Settings())))) == []


def test_two_settings_with_one_port_are_told() -> None:
    asked = [Port("api.port", "127.0.0.1", 80), Port("gateway.http_port", "0.0.0.0", 80), Port("x", "10.0.0.1", 81)]
    assert list(map(str, ports.twice(asked))) == [
        "gateway.http_port: 0.0.0.0:80 is the port of api.port too (choose another for one of them)"
    ]
    assert Port("api.port", "", 1).variable == "PIER_API_PORT"
