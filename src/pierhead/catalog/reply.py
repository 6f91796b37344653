"""What an endpoint gives back: an answer, a refusal, or what must change before it is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pierhead.kit import errors

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    kind: str = ""
    """The content type; empty for an answer without one."""
    headers: tuple[tuple[str, str], ...] = ()


class Rejected(errors.Refused):
    """The request is answered with a status and a text, both as Consul chooses them."""

    def __init__(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Watch:
    """A read that can be waited on: its index now, the topics that end the wait, and its answer as of now."""

    index: int
    topics: tuple[str, ...]
    render: Callable[[], Reply]
    is_cached: bool = False
    """The answer depends on nothing but the request and the index."""
    waits_for_content: bool = False
    """Waits whatever index the request has seen: it knows the present content by its hash."""


Outcome = Reply | Watch


def of(value: Any, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """The value as compact JSON."""
    return Reply(status, encode(value), JSON, headers)


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def rejection(error: Rejected) -> Reply:
    """The refusal as plain text, as Consul writes it."""
    return Reply(error.status, error.message.encode("utf-8", "replace"), TEXT, error.headers)


EMPTY = Reply()
