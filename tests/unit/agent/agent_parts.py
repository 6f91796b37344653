"""Containers and nodes to try rules on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pierhead.agent.endpoint import Node
from pierhead.wire.docker.containers import Binding, Container

NODE = Node(id="node-id", name="n1", advertise="10.0.0.5", cluster="pier")
STARTED = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


def container(
    ports: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    **changes: Any,
) -> Container:
    """A container that runs; `ports` maps `80/tcp` to its bindings."""
    bindings = {port: tuple(Binding(*one) for one in found) for port, found in (ports or {}).items()}
    made = Container(
        id="c" * 64,
        name="web1",
        image="registry.example:5000/team/web:1.2",
        image_id="sha256:1",
        labels=dict(labels or {}),
        env=tuple(f"{key}={value}" for key, value in (env or {}).items()),
        exposed=frozenset(bindings),
        ports=bindings,
        network="bridge",
        running=True,
        paused=False,
        pid=42,
        started_at=STARTED,
        health="",
        health_output="",
        exit_code=0,
        stop_signal="",
        stop_timeout=timedelta(seconds=10),
    )
    return replace(made, **changes)
