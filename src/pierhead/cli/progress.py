"""A build or deployment as it goes: a line per step; on a terminal the present one with a spinner below."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from pierhead.cli import console
from pierhead.client import Api
from pierhead.kit import errors

_STYLES = {"failed": "bold red", "done": "bold green", "log": "dim"}


async def build(api: Api, build_id: int, *, quiet: bool) -> dict[str, Any]:
    """Shows the build until it has ended; returns it. Raises: Failed."""
    await _show(api.follow(f"/builds/{build_id}/journal"), quiet=quiet)
    ended: dict[str, Any] = await api.get(f"/builds/{build_id}")
    if ended["state"] != "succeeded":
        raise errors.Failed(
            f"Build {build_id} {ended['state']}: {ended['reason']}",
            hint=f"What ran before runs on. `pier builds {build_id}` shows the whole log.",
        )
    return ended


async def deployment(api: Api, deployment_id: int, *, quiet: bool) -> dict[str, Any]:
    """Shows the deployment until it has ended; returns it. Raises: Failed."""
    await _show(api.follow(f"/deployments/{deployment_id}/journal"), quiet=quiet)
    ended: dict[str, Any] = await api.get(f"/deployments/{deployment_id}")
    if ended["state"] != "succeeded":
        raise errors.Failed(
            f"Deployment {deployment_id} {ended['state']}: {ended['reason']}",
            hint="What ran before runs on; `pier ps` shows it.",
        )
    return ended


async def _show(events: AsyncIterator[dict[str, Any]], *, quiet: bool) -> None:
    with _spinner(quiet=quiet) as spinner:
        async for entry in events:
            if quiet:
                continue
            if entry["step"] == "wait" and spinner:
                spinner.update(entry["text"])
                continue
            first, *rest = entry["text"].splitlines() or [""]
            console.note(f"{entry['step']:<12} {first}", style=_STYLES.get(entry["step"], ""))
            for line in rest:
                console.note(f"{'':<12} {line}", style=_STYLES.get(entry["step"], ""))


@contextmanager
def _spinner(*, quiet: bool) -> Iterator[Any]:
    if quiet or not console.is_terminal(sys.stderr):
        yield None
        return
    with console.drawing().spinner() as status:
        yield status
