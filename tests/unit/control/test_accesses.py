"""Deploy keys and logins: kept encrypted, read only by whoever fetches."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from pierhead.control import accesses
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store import tables
from pierhead.wire.git.access import Access, Login

KNOWN = "git.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="


async def test_what_is_secret_is_only_told_to_git(ctx: Context) -> None:
    assert await accesses.reveal(ctx, "shop") == Access()
    shown = await accesses.make_key(ctx, "shop")
    assert shown.public_key.startswith("ssh-ed25519 ")
    assert shown.public_key.endswith(" pier-shop")
    await accesses.set_known_hosts(ctx, "shop", f"# the team's\n\n{KNOWN}\n")
    await accesses.set_login(ctx, "shop", Login("git.example:8443", "pier", "t0ken"))
    told = await accesses.reveal(ctx, "shop")
    assert told.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert (told.known_hosts, told.login) == (f"{KNOWN}\n", Login("git.example:8443", "pier", "t0ken"))
    assert "t0ken" not in repr(told) + repr(await accesses.show(ctx, "shop"))
    async with ctx.store.read() as db:
        kept = str((await db.execute(sa.select(tables.git_accesses))).all())
    assert "t0ken" not in kept
    assert "OPENSSH" not in kept
    renewed = await accesses.make_key(ctx, "shop")
    assert renewed.public_key != shown.public_key
    assert renewed.username == "pier"
    await accesses.remove(ctx, "shop")
    assert await accesses.reveal(ctx, "shop") == Access()


async def test_what_cannot_be_is_refused_with_its_place(ctx: Context) -> None:
    with pytest.raises(errors.Invalid, match="line 2: is no line of known_hosts"):
        await accesses.set_known_hosts(ctx, "shop", f"{KNOWN}\nProxyCommand touch /tmp/x\n")
    with pytest.raises(errors.Invalid, match=r"host: must be a name(.|\n)*password: must be one line"):
        await accesses.set_login(ctx, "shop", Login("https://git.example/", "pier", "a\nhost=elsewhere"))
    with pytest.raises(errors.NotFound, match="no deploy key"):
        await accesses.remove(ctx, "shop")
