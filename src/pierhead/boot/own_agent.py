"""The agent that runs beside the server, in the same process: it is let in without anybody doing anything."""

from __future__ import annotations

import logging
import secrets

from pierhead.agent import identity
from pierhead.boot import agent
from pierhead.control import tokens
from pierhead.control.context import Context
from pierhead.kit import errors, files

log = logging.getLogger(__name__)

_BYTES = 32


async def accept(context: Context) -> None:
    """The agent of this machine finds its token where it looks for it; not if it connects to another server."""
    settings = context.settings
    if settings.agent.server:
        return
    file = agent.token_file(settings.home)
    if not file.exists():
        files.replace(file, secrets.token_urlsafe(_BYTES) + "\n", mode=0o600)
    try:
        name = identity.node(agent.options(settings)).name
    except errors.PierError as error:  # the agent says so too
        log.warning("The agent of this machine is not known: %s", error)
        return
    await tokens.accept(context, name, file.read_text().strip())
