"""A key is replaced: whoever is killed on the way, everything opens, and in the end the old key opens nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pierhead.control import accesses, hooks, redaction, rotation, secrets
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import clock, errors
from pierhead.model.hook import Hook
from pierhead.model.keys import Keys
from pierhead.store import hooks as stored
from pierhead.store import sealings
from pierhead.wire.git.access import Login


@pytest.fixture
def kept(ctx: Context, tmp_path: Path) -> Context:
    return replace(ctx, keys=Keyring.kept(tmp_path / "secret.key"))


async def filled(ctx: Context, count: int = 5) -> None:
    for number in range(count):
        await secrets.put(ctx, "notes", "dev", f"S{number}", f"value {number}".encode())
    await accesses.make_key(ctx, "notes")
    await accesses.set_login(ctx, "notes", Login("git.example", "mia", "password"))
    await hooks.put(ctx, Hook("notes", "https://git.example/notes", (), (), clock.now()))


async def opened(ctx: Context) -> list[str]:
    """Everything that is sealed, in the clear."""
    found = [
        await secrets.reveal(ctx, "notes", "dev", one.name, 1) for one in await secrets.listing(ctx, "notes", "dev")
    ]
    access = await accesses.reveal(ctx, "notes")
    async with ctx.store.read() as db:
        hook = await stored.find(db, "notes")
    assert hook
    assert access.login
    return [*map(bytes.decode, found), access.private_key, access.login.password, ctx.keys.open(hook[1]).decode()]


async def test_everything_is_sealed_anew_and_the_old_key_is_forgotten(kept: Context, tmp_path: Path) -> None:
    await filled(kept)
    before, old = await opened(kept), kept.keys.held
    assert (await rotation.show(kept, "secrets")).left == 0
    begun = await rotation.begin(kept, "secrets")
    assert (begun.is_rotating, begun.left, begun.id == old.id) == (True, 8, False)
    assert (await rotation.begin(kept, "secrets")).id == begun.id
    await rotation.finish(kept)
    ended = await rotation.show(kept, "secrets")
    assert (ended.is_rotating, ended.left, ended.id, ended.unreadable) == (False, 0, begun.id, [])
    restarted = replace(kept, keys=Keyring.kept(tmp_path / "secret.key"))
    assert await opened(restarted) == before
    assert old.current.hex() not in (tmp_path / "secret.key").read_text()
    with pytest.raises(errors.Broken, match="another key"):
        await opened(replace(kept, keys=Keyring(old)))


async def test_whoever_is_killed_on_the_way_goes_on_and_nothing_is_ever_lost(
    kept: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_AT_ONCE", 3)
    await filled(kept)
    before = await opened(kept)
    await rotation.begin(kept, "secrets")
    new, steps = kept.keys.held.current, 0
    while True:
        killed = replace(kept, keys=Keyring.kept(tmp_path / "secret.key"))
        assert await opened(killed) == before
        if not killed.keys.held.old:
            break
        await rotation._some_secrets(killed)
        steps += 1
    assert (steps, killed.keys.held) == (4, Keys(new))


async def test_what_no_key_opens_stays_and_is_told(kept: Context) -> None:
    await secrets.put(replace(kept, keys=Keyring(Keys(bytes(32)))), "notes", "dev", "LOST", b"x")
    await secrets.put(kept, "notes", "dev", "KEY", b"y")
    await rotation.begin(kept, "secrets")
    await rotation.finish(kept)
    ended = await rotation.show(kept, "secrets")
    assert (ended.is_rotating, ended.left, ended.unreadable) == (
        False,
        1,
        ["secrets ciphertext of notes, dev, LOST, 1"],
    )
    assert await secrets.reveal(kept, "notes", "dev", "KEY", 1) == b"y"
    with pytest.raises(errors.Broken, match="cannot be opened"):
        await secrets.reveal(kept, "notes", "dev", "LOST", 1)
    assert (await redaction.of(kept, "notes")).values == ()


async def test_gateways_get_the_key_of_certificates_before_it_is_taken(kept: Context) -> None:
    with pytest.raises(errors.Conflict, match="do not have the coming key"):
        await rotation.begin(kept, "certificates")
    with pytest.raises(errors.NotFound):
        await rotation.begin(kept, "gateways")


async def test_a_damaged_key_file_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text("half a k")
    with pytest.raises(errors.Invalid, match="Put its copy there from your backup"):
        Keyring.kept(file)
    assert file.read_text() == "half a k"


async def test_every_sealed_column_is_known(kept: Context) -> None:
    await filled(kept, count=1)
    async with kept.store.read() as db:
        found = [str(one) for one in await sealings.others(db, b"none", 10)]
    assert found == [
        "git_accesses private_key of notes",
        "git_accesses password of notes",
        "hooks ciphertext of notes",
        "secrets ciphertext of notes, dev, S0, 1",
    ]
