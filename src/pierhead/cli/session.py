"""Which server the command line talks to, and as whom.

The first that is there: PIER_URL with PIER_TOKEN, what `pier login` kept, the Pierhead of this machine (its token is
read from the data folder, which only root and its owner can).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pierhead import client
from pierhead.cli import console
from pierhead.client import Api
from pierhead.kit import errors
from pierhead.settings import load

_KEPT = Path("~/.config/pierhead/login.json")
_WHICH = {"PIER_URL", "PIER_TOKEN", "PIER_HOME", "PIER_CONFIG", "PIER_API_ADDRESS", "PIER_API_PORT"}
"""The variables that decide which server is asked, and as whom."""


@dataclass(frozen=True, slots=True)
class Login:
    url: str
    token: str


def login() -> Login:
    """Raises: Denied (there is a server, and no token for it), Invalid (a variable that nearly says which server)."""
    environ = _meant(os.environ)
    if url := os.environ.get("PIER_URL", ""):
        return Login(url, _token_from_environment())
    kept = _KEPT.expanduser()
    if kept.exists():
        read = json.loads(kept.read_text())
        return Login(read["url"], os.environ.get("PIER_TOKEN") or read["token"])
    return _local(environ)


def keep(url: str, token: str) -> Path:
    """The next commands use this server. Only its owner can read the file."""
    kept = _KEPT.expanduser()
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept.touch(mode=0o600)
    kept.write_text(json.dumps({"url": url, "token": token}))
    return kept


def forget() -> bool:
    """The next commands use this machine's own. False when they did already."""
    kept = _KEPT.expanduser()
    was_there = kept.exists()
    kept.unlink(missing_ok=True)
    return was_there


@asynccontextmanager
async def connected() -> AsyncIterator[Api]:
    found = login()
    async with client.connected(found.url, found.token) as api:
        yield api


def _meant(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables without those that mean nothing: a person is told of them, and the command goes on.

    One that is nearly the name of what decides whom is asked is no such trifle. Raises: Invalid.
    """
    unknown = load.unknown(environ)
    if wrong := {name: known for name, known in unknown.items() if known in _WHICH}:
        raise errors.Invalid(
            "It is not certain which server is meant.",
            problems=[errors.Problem(name, f"is no variable, and {known} is one") for name, known in wrong.items()],
            hint="Correct the name, or unset it.",
        )
    for name, known in unknown.items():
        meant = f" Did you mean {known}?" if known else ""
        console.note(f"{name} is no variable of Pierhead and changes nothing.{meant}", style="yellow")
    return {name: text for name, text in environ.items() if name not in unknown}


def _local(environ: Mapping[str, str]) -> Login:
    settings = load.load(None, environ, {})
    if token := os.environ.get("PIER_TOKEN"):
        return Login(settings.api_url, token)
    file = settings.home / "token"
    try:
        return Login(settings.api_url, file.read_text().strip())
    except FileNotFoundError:
        raise errors.Unavailable(
            f"There is no Pierhead in {settings.home}.",
            hint="`pier up` starts one; PIER_HOME names another data folder; `pier login` uses another machine's.",
        ) from None
    except PermissionError:
        raise errors.Denied(
            f"{file} may not be read by this user.", hint="Use root, or set PIER_TOKEN to a token of your own."
        ) from None


def _token_from_environment() -> str:
    token = os.environ.get("PIER_TOKEN", "")
    if not token:
        raise errors.Denied("PIER_URL is set and PIER_TOKEN is not.", hint="Set PIER_TOKEN, or use `pier login URL`.")
    return token
