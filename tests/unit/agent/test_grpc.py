from __future__ import annotations

import pytest

from pierhead.agent import grpc

SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
HEADERS = b"\0\0\x01\x01\x04\0\0\0\x01\x88"


def data(message: bytes, flags: int = 0) -> bytes:
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return len(body).to_bytes(3, "big") + bytes([0, flags]) + (1).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("received", "verdict"),
    [
        (b"", None),
        (SETTINGS, None),
        (SETTINGS + HEADERS, None),
        (SETTINGS + HEADERS + data(b"\x08\x01"), True),
        (SETTINGS + HEADERS + data(b"\x08\x02"), False),
        (SETTINGS + HEADERS + data(b""), False),
        (SETTINGS + b"\0\0\x01\x01\x05\0\0\0\x01\x88", False),
        (b"\0\0\x08\x07\0\0\0\0\0" + bytes(8), False),
        (b"\0\0\x04\x03\0\0\0\0\x01" + bytes(4), False),
    ],
)
def test_only_a_server_that_says_serving_passes(received: bytes, verdict: bool | None) -> None:
    assert grpc.verdict(received) is verdict


def test_an_answer_may_come_in_pieces() -> None:
    whole = SETTINGS + HEADERS + data(b"\x08\x01")
    verdicts = [grpc.verdict(whole[:end]) for end in range(len(whole) + 1)]
    assert verdicts == [None] * len(whole) + [True]


def test_the_request_names_the_health_service() -> None:
    sent = grpc.request("10.0.0.5:50051")
    assert sent.startswith(b"PRI * HTTP/2.0")
    assert b"/grpc.health.v1.Health/Check" in sent
