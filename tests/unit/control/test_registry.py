"""Who Pierhead is at its registry follows the files, which are read when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.control import registry
from pierhead.kit import errors
from pierhead.settings import Registry, Settings


def test_the_newest_account_of_the_embedded_registry_is_used(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert registry.access(settings).account is None
    registry.prepare(settings)
    made = registry.access(settings).account
    assert made
    assert made.username == "pier-1"
    settings.registry_accounts.write_text(f"pier-2:new\n{made.username}:{made.password}\n")
    changed = registry.access(settings).account
    assert changed
    assert (changed.username, changed.password) == ("pier-2", "new")


def test_a_password_that_changes_holds_at_once(tmp_path: Path) -> None:
    file = tmp_path / "password"
    told = Registry(address="harbor:443", username="robot", password_file=str(file))
    settings = Settings(home=tmp_path, registry=told)
    with pytest.raises(errors.NotFound):
        registry.access(settings)
    for password in ("one", "two"):
        file.write_text(password)
        file.chmod(0o600)
        os.utime(file, ns=(0, 0))
        account = registry.access(settings).account
        assert account
        assert account.password == password
