"""The machine's own address is the one that the default route uses, and never a guess."""

from __future__ import annotations

import pytest

from pierhead.kit import address, errors

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
INNER = {"lo": "127.0.0.1", "docker0": "172.17.0.1", "docker_gwbridge": "172.18.0.1"}


def route(interface: str, destination: str = "00000000", mask: str = "00000000", metric: int = 0) -> str:
    return f"{interface}\t{destination}\t0100000A\t0003\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def test_the_default_route_decides() -> None:
    routes = HEAD + route("docker0", "000011AC", "0000FFFF") + route("eth1")
    assert address.choose(routes, {**INNER, "eth0": "10.0.0.1", "eth1": "10.0.1.1"}) == "10.0.1.1"


def test_the_lower_metric_wins() -> None:
    routes = HEAD + route("wlan0", metric=600) + route("eth0", metric=100)
    assert address.choose(routes, {**INNER, "eth0": "10.0.0.1", "wlan0": "10.0.1.1"}) == "10.0.0.1"


def test_without_a_route_the_only_address_is_taken() -> None:
    assert address.choose(HEAD, {**INNER, "eth0": "10.0.0.1"}) == "10.0.0.1"


def test_a_machine_alone_has_loopback() -> None:
    assert address.choose(HEAD, INNER) == "127.0.0.1"


@pytest.mark.parametrize("routes", [HEAD, HEAD + route("eth0") + route("eth1")])
def test_a_tie_is_refused_with_all_that_could_be_meant(routes: str) -> None:
    with pytest.raises(errors.Conflict, match=r"10\.0\.0\.1 \(eth0\), 10\.0\.1\.1 \(eth1\)"):
        address.choose(routes, {**INNER, "eth0": "10.0.0.1", "eth1": "10.0.1.1"})


def test_this_machine_has_an_address() -> None:
    assert address.addresses()["lo"] == "127.0.0.1"
