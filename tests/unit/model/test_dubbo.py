"""What Dubbo providers are told."""

from __future__ import annotations

from pierhead.model import dubbo
from pierhead.model.dubbo import Reached


def test_one_protocol_is_told_under_both_names() -> None:
    assert dubbo.variables({"rpc": Reached(20880, 32769, "10.0.0.5")}) == {
        "DUBBO_IP_TO_REGISTRY": "10.0.0.5",
        "DUBBO_PORT_TO_REGISTRY": "32769",
        "DUBBO_PORT_TO_BIND": "20880",
        "RPC_DUBBO_IP_TO_REGISTRY": "10.0.0.5",
        "RPC_DUBBO_PORT_TO_REGISTRY": "32769",
        "RPC_DUBBO_PORT_TO_BIND": "20880",
    }


def test_two_protocols_never_share_a_variable() -> None:
    found = dubbo.variables({"dubbo": Reached(1, 1), "tri": Reached(2, 2)})
    assert found.keys() == {
        "DUBBO_DUBBO_PORT_TO_REGISTRY",
        "DUBBO_DUBBO_PORT_TO_BIND",
        "TRI_DUBBO_PORT_TO_REGISTRY",
        "TRI_DUBBO_PORT_TO_BIND",
    }


def test_a_loopback_address_is_not_told_because_dubbo_would_not_start() -> None:
    assert "DUBBO_IP_TO_REGISTRY" not in dubbo.variables({"rpc": Reached(1, 1, "127.0.0.1")})
