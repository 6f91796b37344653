"""A container as the server may show it to people: what it is and where it runs, and none of its secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pierhead.wire.docker.containers import Container

HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"pass|pwd|secret|token|credential|private|(api|access)[_-]?key|auth|signature|dsn|cookie|salt|(^|[_-])key($|[_-])",
    re.IGNORECASE,
)
"""Names of variables whose values are nobody's business."""
_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?P<name>[\w.-]+)(?P<sign>[= :]\s*)(?P<value>\S+)")


def document(container: Container, secrets: Collection[str]) -> dict[str, Any]:
    """`secrets`: names of variables that are hidden although they sound harmless."""
    config, host, state = (container.raw[key] for key in ("Config", "HostConfig", "State"))
    return {
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "image_id": container.image_id,
        "command": command([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]),
        "user": config.get("User") or "",
        "folder": config.get("WorkingDir") or "",
        "state": state["Status"],
        "health": container.health,
        "exit_code": container.exit_code,
        "restarts": container.raw.get("RestartCount") or 0,
        "started_at": state["StartedAt"],
        "ended_at": state["FinishedAt"],
        "environment": environment(container.env, secrets),
        "labels": {name: value if not _SECRET.search(name) else HIDDEN for name, value in container.labels.items()},
        "ports": {port: [f"{one.address}:{one.port}" for one in ends] for port, ends in container.ports.items()},
        "networks": _networks(container.raw),
        "mounts": [_mount(mount) for mount in container.raw.get("Mounts") or ()],
        "cpus": (host.get("NanoCpus") or 0) / 1e9 or None,
        "memory_bytes": host.get("Memory") or None,
        "stop_signal": container.stop_signal,
    }


def environment(env: Sequence[str], secrets: Collection[str]) -> dict[str, str]:
    """The variables; a secret's value is hidden, and so is who signs in, in an address."""
    found = {}
    for entry in env:
        name, _, value = entry.partition("=")
        found[name] = HIDDEN if name in secrets or _SECRET.search(name) else _without_user(value)
    return found


def command(words: Sequence[str]) -> list[str]:
    """The words, without what sounds like a secret: `--password=…` and `--password …`."""
    before = ["", *words[:-1]]
    return [
        HIDDEN if is_option(last) and not word.startswith("-") else _ASSIGNED.sub(_hidden, _without_user(word))
        for last, word in zip(before, words, strict=True)
    ]


def is_option(word: str) -> bool:
    """The next word is its value, and a secret."""
    return word.startswith("-") and "=" not in word and " " not in word and bool(_SECRET.search(word))


def _hidden(found: re.Match[str]) -> str:
    return f"{found['name']}{found['sign']}{HIDDEN}" if _SECRET.search(found["name"]) else found[0]


def _without_user(text: str) -> str:
    return _USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)


def _networks(raw: Mapping[str, Any]) -> dict[str, str]:
    networks = raw["NetworkSettings"].get("Networks") or {}
    return {name: value.get("IPAddress") or "" for name, value in networks.items()}


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": mount["Type"],
        "source": mount.get("Name") or mount.get("Source") or "",
        "target": mount["Destination"],
        "read_only": not mount.get("RW", True),
    }
