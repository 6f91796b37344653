"""The first words of a channel: who the node is, and which version both speak. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pierhead.kit import errors
from pierhead.wire.channel import frames
from pierhead.wire.channel.frames import Frame, Kind

VERSIONS: Sequence[int] = (1,)
"""What this program speaks."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says of itself."""

    id: str
    """Made once and kept: two agents with one name and different ids are two machines."""
    name: str
    engine_node: str
    """The node's id in the swarm; empty when it is in none."""
    program: str
    """Version of the agent."""
    versions: Sequence[int] = VERSIONS


def hello(said: Hello) -> bytes:
    body = {"id": said.id, "name": said.name, "engine_node": said.engine_node, "program": said.program}
    return frames.encode(frames.json_frame(Kind.HELLO, 0, {**body, "versions": list(said.versions)}))


def read_hello(message: bytes) -> Hello:
    """Raises: Invalid."""
    body = _of(message, Kind.HELLO).body()
    try:
        versions = tuple(int(one) for one in body["versions"])
        return Hello(str(body["id"]), str(body["name"]), str(body["engine_node"]), str(body["program"]), versions)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.Invalid(f"The frame HELLO does not say who the node is: {error!r}") from error


def agreed(theirs: Sequence[int], ours: Sequence[int] = VERSIONS) -> int:
    """The newest version that both speak. Raises: Conflict."""
    if both := set(theirs) & set(ours):
        return max(both)
    raise errors.Conflict(
        f"The node's agent speaks the channel's versions {_listed(theirs)}, the server {_listed(ours)}.",
        hint="Update the older one of the two.",
    )


def welcome(version: int) -> bytes:
    return frames.encode(frames.json_frame(Kind.WELCOME, 0, {"version": version}))


def refused(error: errors.PierError) -> bytes:
    return frames.encode(frames.json_frame(Kind.REFUSED, 0, {"error": errors.document(error)}))


def read_answer(message: bytes) -> int:
    """The version that is spoken. Raises: what the server refused with, Invalid."""
    frame = frames.decode(message)
    if frame.kind is Kind.REFUSED:
        raise refusal(frame)
    version = _of(message, Kind.WELCOME).body().get("version")
    if not isinstance(version, int) or version not in VERSIONS:
        raise errors.Invalid(f"The server chose version {version!r}, which was not offered.")
    return version


def refusal(frame: Frame) -> errors.PierError:
    """The error in a frame REFUSED or CLOSE. Raises: Invalid."""
    return error_in(frame.body()) or errors.Broken("The other end gave no reason.")


def error_in(body: Mapping[str, Any]) -> errors.PierError | None:
    """The error that a body carries, if it does. Raises: Invalid."""
    if "error" not in body:
        return None
    try:
        return errors.read(body["error"])
    except (KeyError, TypeError) as error:
        raise errors.Invalid(f"The other end sent an error that cannot be read: {body['error']!r}") from error


def _of(message: bytes, kind: Kind) -> Frame:
    frame = frames.decode(message)
    if frame.kind is not kind:
        raise errors.Invalid(f"A frame {frame.kind.name} came where {kind.name} was due.")
    return frame


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(versions))) or "none"
