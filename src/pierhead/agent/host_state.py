"""Where an agent and the people on its machine tell each other of host services: files in the agent's data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pierhead.kit import errors


def file(data: Path) -> Path:
    """What the agent says: `{"folder", "problems": {file: [problem]}, "services": [{"name", "state", …}]}`."""
    return data / "host-services.json"


def wishes(data: Path) -> Path:
    """The folder of what people wish."""
    return data / "host-drains"


def wish(data: Path, name: str) -> Path:
    """While it exists, the host service of that name is drained and stays out of the catalog."""
    return wishes(data) / name


def read(data: Path) -> Mapping[str, Any]:
    """What the agent of this data folder said last. Raises: NotFound (there was no agent, or it has not looked yet)."""
    try:
        value: Mapping[str, Any] = json.loads(file(data).read_text())
    except FileNotFoundError:
        raise errors.NotFound(
            f"No agent has looked at host services in {data}.",
            hint="Start one (`pier agent --data …`), or name its folder with --data.",
        ) from None
    return value
