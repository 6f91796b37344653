"""A commit is the same layer for everybody, whatever is in it; and what cannot be built is refused with its reason."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pierhead.build import source
from pierhead.kit import errors

_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Ada", "EMAIL": "ada@localhost", "DATE": "2026-03-04T05:06:07+0100"}.items()
}


def git(folder: Path, *arguments: str | bytes, env: Mapping[str, str] | None = None) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **_AUTHOR, **(env or {})}
    made = subprocess.run(["git", "-C", folder, *arguments], env=environment, capture_output=True, check=True)
    return made.stdout.decode().strip()


def committed(folder: Path, subject: str = "A commit") -> str:
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return tmp_path / "data" / "app.git"


async def tar_of(bare: Path, work: Path, ref: str = "main") -> bytes:
    commit = await source.fetch(bare, str(work), ref)
    found = await source.tree(bare, commit)
    return b"".join([piece async for piece in source.tar(bare, found, "app")])


async def test_a_commit_is_fetched_by_branch_tag_id_and_head(work: Path, bare: Path) -> None:
    (work / "a").write_text("1")
    first = committed(work, "First\n\nwith more")
    git(work, "tag", "-a", "v1", "-m", "one")
    (work / "a").write_text("2")
    second = committed(work, "Second")
    for ref, commit in (("main", second), ("HEAD", second), ("v1", first), (first, first), (first[:9], first)):
        assert (await source.fetch(bare, str(work), ref)).id == commit
    found = await source.fetch(bare, str(work), "v1")
    assert (found.subject, found.author) == ("First", "Ada")
    assert found.committed_at.isoformat() == "2026-03-04T04:06:07+00:00"
    assert await source.read(bare, first, "a") == b"1"
    assert await source.read(bare, second, "b") is None


async def test_a_branch_that_was_forced_elsewhere_is_followed(work: Path, bare: Path) -> None:
    (work / "a").write_text("1")
    committed(work)
    (work / "a").write_text("2")
    old = committed(work)
    assert (await source.fetch(bare, str(work), "main")).id == old
    git(work, "reset", "-q", "--hard", "HEAD~1")
    (work / "a").write_text("3")
    new = committed(work)
    assert (await source.fetch(bare, str(work), "main")).id == new


async def test_whatever_git_can_hold_is_in_the_layer(work: Path, bare: Path) -> None:
    odd = [b"line\nbreak", b"not-\xff-utf8", "日本語".encode(), b"with space", b"-rf", b'quo"te', b"x" * 200]
    for name in odd:
        (work / os.fsdecode(name)).write_bytes(b"odd")
    (work / "deep" / "er").mkdir(parents=True)
    (work / "deep" / "er" / "run.sh").write_text("#!/bin/sh\n")
    (work / "deep" / "er" / "run.sh").chmod(0o755)
    (work / "deep" / "link").symlink_to("../with space")
    (work / "empty").touch()
    committed(work)
    with tarfile.open(fileobj=io.BytesIO(await tar_of(bare, work)), errors="surrogateescape") as tar:
        found = {os.fsencode(member.name): member for member in tar}
    assert {b"app/" + name for name in odd} <= found.keys()
    assert found[b"app/deep/er/run.sh"].mode == 0o755
    assert found[b"app/empty"].mode == 0o644
    assert found[b"app/deep"].isdir()
    assert found[b"app/deep/link"].linkname == "../with space"
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, 1772597167)}


async def test_the_layer_is_the_same_for_everybody(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "script").write_text("#!/bin/sh\n")
    (work / "script").chmod(0o755)
    (work / "text").write_text("text\n")
    (work / "text").chmod(0o600)
    (work / ".gitattributes").write_text("* text=auto eol=crlf\ntext export-ignore\n")
    committed(work)
    mine = await tar_of(tmp_path / "one.git", work)

    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[core]\nautocrlf = true\nquotePath = true\n[tar]\numask = 0077\n[log]\nmailmap = true\n"
    )
    for name, value in {
        "HOME": str(home),
        "TZ": "Asia/Shanghai",
        "LC_ALL": "C",
        "USER": "else",
        "GIT_DIR": "/no",
    }.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    before = os.umask(0o077)
    try:
        theirs = await tar_of(tmp_path / "two.git", work)
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert hashlib.sha256(mine).hexdigest() == hashlib.sha256(theirs).hexdigest()


async def test_what_is_ignored_stays_out(work: Path, bare: Path) -> None:
    for name in ("kept", "secret.key", ".dockerignore", ".pierignore"):
        (work / name).touch()
    (work / ".dockerignore").write_text("kept\n")
    (work / ".pierignore").write_text("*.key\n")
    committed(work)
    found = await source.tree(bare, await source.fetch(bare, str(work), "main"))
    assert "kept" in found.names
    assert "secret.key" not in found.names


async def test_an_upload_is_received(work: Path, bare: Path, tmp_path: Path) -> None:
    (work / "a").write_text("1")
    commit = committed(work)
    bundle = tmp_path / "b.bundle"
    git(work, "bundle", "create", "-q", str(bundle), "main")
    assert (await source.receive(bare, bundle, commit)).id == commit
    bundle.write_bytes(bundle.read_bytes()[:-30])
    with pytest.raises(errors.Invalid, match="no whole git bundle"):
        await source.receive(tmp_path / "other.git", bundle, commit)
    bundle.write_text("nonsense")
    with pytest.raises(errors.Invalid, match="no whole git bundle"):
        await source.receive(tmp_path / "other.git", bundle, commit)


async def test_what_is_not_there_is_said_with_what_is(work: Path, bare: Path, tmp_path: Path) -> None:
    (work / "a").touch()
    committed(work)
    git(work, "branch", "feature-login")
    with pytest.raises(errors.NotFound, match="feature-logn") as caught:
        await source.fetch(bare, str(work), "feature-logn")
    assert "feature-login" in caught.value.hint
    with pytest.raises(errors.Invalid, match="is no branch"):
        await source.fetch(bare, str(work), "--upload-pack=touch /tmp/x")
    with pytest.raises(errors.Invalid, match="not a git repository"):
        await source.fetch(bare, str(tmp_path), "main")
    with pytest.raises(errors.Invalid, match="no address"):
        await source.fetch(bare, "--upload-pack=x", "main")
    with pytest.raises(errors.Failed, match="not allowed"):
        await source.fetch(bare, "ext::sh -c true", "main")
    with pytest.raises(errors.Unavailable, match="cannot reach"):
        await source.fetch(bare, "http://127.0.0.1:9/x.git", "main")


async def test_an_empty_repository_and_an_empty_commit_are_refused(work: Path, bare: Path) -> None:
    git(work, "init", "-q", "-b", "main")
    with pytest.raises(errors.NotFound, match="is empty"):
        await source.fetch(bare, str(work), "main")
    committed(work)
    with pytest.raises(errors.Invalid, match="has no files"):
        await source.tree(bare, await source.fetch(bare, str(work), "main"))


async def test_a_head_that_leads_nowhere_does_not_hide_the_branches(work: Path, bare: Path) -> None:
    (work / "a").touch()
    commit = committed(work)
    git(work, "symbolic-ref", "HEAD", "refs/heads/gone")
    assert (await source.fetch(bare, str(work), "main")).id == commit


async def test_pointers_submodules_and_links_out_of_the_tree_are_refused(work: Path, bare: Path) -> None:
    (work / "big.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    committed(work)
    with pytest.raises(errors.Invalid, match=r"big\.bin.*Git LFS"):
        await tar_of(bare, work)
    (work / "big.bin").unlink()
    for target in ("../outside", "/etc/passwd"):
        (work / "link").symlink_to(target)
        committed(work)
        with pytest.raises(errors.Invalid, match="out of the repository"):
            await tar_of(bare, work)
        (work / "link").unlink()
    commit = git(work, "rev-parse", "HEAD")
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},library")
    git(work, "commit", "-q", "-m", "Submodule")
    with pytest.raises(errors.Invalid, match="Submodules") as caught:
        await tar_of(bare, work)
    assert "library" in str(caught.value)
