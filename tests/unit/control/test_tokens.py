"""Who may use the API, under which name."""

from __future__ import annotations

import pytest

from pierhead.control import tokens
from pierhead.control.context import Context
from pierhead.kit import errors


async def test_everybody_has_a_token_of_their_own_that_can_be_refused(ctx: Context) -> None:
    first = await tokens.admit(ctx, "mia")
    token = await tokens.admit(ctx, "mia")
    await tokens.create(ctx, "n1")
    assert (await tokens.user(ctx, token), await tokens.user(ctx, first)) == ("mia", None)
    assert [one.name for one in await tokens.users(ctx)] == ["mia"]
    await tokens.dismiss(ctx, "mia")
    assert await tokens.user(ctx, token) is None
    for name in ("mia", "node:n1"):
        with pytest.raises(errors.NotFound):
            await tokens.dismiss(ctx, name)


async def test_the_admin_and_nodes_are_not_made_or_ended_by_this(ctx: Context) -> None:
    for use in (tokens.admit, tokens.dismiss):
        with pytest.raises(errors.Conflict, match="is the file `token`"):
            await use(ctx, "admin")
    for name in ("", "node:n1", "a b"):
        with pytest.raises(errors.Invalid):
            await tokens.admit(ctx, name)
