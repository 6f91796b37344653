"""A commit is the same layer for everybody, whatever is in it; and what cannot be built is refused with its reason."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pierhead.build import source
from pierhead.build.source import How
from pierhead.kit import errors
from pierhead.wire.git import modules, repository

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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:secret@git.example.com:8443/team/shop.git", "https://git.example.com:8443/team/shop.git"),
        ("https://token@git.example.com/shop", "https://git.example.com/shop"),
        ("ssh://git:secret@git.example.com/shop", "ssh://git@git.example.com/shop"),
        ("git@git.example.com:team/shop.git", "ssh://git@git.example.com/team/shop.git"),
        ("https://git.example.com/shop?token=secret#x", "https://git.example.com/shop"),
        ("/srv/shop", ""),
        ("file:///srv/shop", ""),
    ],
)
def test_where_a_commit_is_from_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert source.origin(url) == shown


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


async def test_what_the_server_has_is_not_sent_again(work: Path, bare: Path, tmp_path: Path) -> None:
    assert await repository.tips(bare) == []
    (work / "large").write_bytes(os.urandom(100_000))
    commits = []
    for text in ("1", "2", "3"):
        (work / "a").write_text(text)
        commits.append(committed(work))
    sizes = []
    for commit in (commits[0], commits[2], commits[2], commits[1]):
        bundle = tmp_path / "b.bundle"
        await repository.bundle(work, commit, bundle, [*await repository.tips(bare), "c" * 40])
        sizes.append(bundle.stat().st_size)
        assert (await source.receive(bare, bundle, commit)).id == commit
    assert sizes[0] > 100_000 > 2000 > max(sizes[1:])


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


async def test_pointers_and_links_out_of_the_tree_are_refused(work: Path, bare: Path) -> None:
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


def with_module(work: Path, url: str, path: str = "library", commit: str = "") -> str:
    """The work has a submodule at that path."""
    (work / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = {path}\n\turl = {url}\n')
    git(work, "add", "-A")
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit or git(work, 'rev-parse', 'HEAD')},{path}")
    git(work, "commit", "-q", "-m", "Submodule")
    return git(work, "rev-parse", "HEAD")


async def test_submodules_are_in_the_layer_with_theirs(work: Path, bare: Path, tmp_path: Path) -> None:
    (inner := tmp_path / "inner").mkdir()
    (inner / "deep").write_text("deep")
    deep = committed(inner)
    (library := tmp_path / "library").mkdir()
    (library / "code").write_text("old")
    committed(library)
    old = with_module(library, "../inner", "vendor/inner", deep)
    (library / "code").write_text("new")
    git(library, "commit", "-q", "-a", "-m", "newer than what is used")
    (work / "a").write_text("a")
    committed(work)
    with_module(work, str(library), "library", old)
    with tarfile.open(fileobj=io.BytesIO(await tar_of(bare, work))) as tar:
        names = [member.name for member in tar if member.isreg()]
        code = tar.extractfile("app/library/code")
        assert code
        assert code.read() == b"old"
    assert names == [
        "app/.gitmodules",
        "app/a",
        "app/library/.gitmodules",
        "app/library/code",
        "app/library/vendor/inner/deep",
    ]
    assert "refs/heads/main" in git(bare, "for-each-ref", "refs/heads"), "the app's own branches are what they were"


async def test_a_submodule_that_cannot_be_had_says_why(work: Path, bare: Path, tmp_path: Path) -> None:
    (work / "a").write_text("a")
    head = committed(work)
    for url, commit, reason in (
        (str(tmp_path / "nowhere"), "b" * 40, "'library' cannot be had: This is not a git repository"),
        (str(work), "b" * 40, "has no commit bbbbbbbbbb"),
        ("", head, "no address of a submodule"),
        ("--upload-pack=x", head, "no address of a submodule"),
        ("ext::sh -c true", "b" * 40, "not allowed"),
    ):
        with_module(work, url, commit=commit)
        with pytest.raises(errors.PierError, match=reason) as caught:
            await tar_of(bare, work)
        assert "'library'" in caught.value.message
    git(work, "rm", "-q", "--cached", ".gitmodules")
    git(work, "commit", "-q", "-m", "No longer said")
    with pytest.raises(errors.Invalid, match=r"\.gitmodules cannot be read"):
        await tar_of(bare, work)


@pytest.mark.parametrize(
    ("url", "parent", "address"),
    [
        ("../lib.git", "https://git.example/team/app.git", "https://git.example/team/lib.git"),
        ("../../other/lib", "https://git.example/team/app/", "https://git.example/other/lib"),
        ("../lib.git", "git@git.example:team/app.git", "git@git.example:team/lib.git"),
        ("./lib", "/srv/app", "/srv/app/lib"),
        ("ssh://git@git.example:22/lib", "", "ssh://git@git.example:22/lib"),
        ("git@git.example:lib", "https://git.example/app", "git@git.example:lib"),
    ],
)
def test_a_submodules_address_is_read_as_git_does(url: str, parent: str, address: str) -> None:
    assert modules.resolved(url, parent) == address


@pytest.mark.parametrize(
    ("url", "parent", "reason"),
    [
        ("/var/lib/pierhead/git/other.git", "https://git.example/app", "a folder of this machine"),
        ("file:///srv/other", "git@git.example:app", "a folder of this machine"),
        ("other", "https://git.example/app", "a folder of this machine"),
        ("../lib", "", "an uploaded commit has no address"),
        ("../../../lib", "https://git.example/app", "above the git server's own"),
    ],
)
def test_a_submodule_is_not_fetched_from_where_it_must_not(url: str, parent: str, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        modules.resolved(url, parent)


async def test_a_commit_that_was_pushed_away_is_not_built(work: Path, bare: Path) -> None:
    (work / "a").write_text("1")
    kept = committed(work)
    (work / "a").write_text("a password")
    gone = committed(work)
    assert (await source.fetch(bare, str(work), gone)).id == gone
    git(work, "reset", "-q", "--hard", kept)
    with pytest.raises(errors.NotFound, match="was pushed away"):
        await source.fetch(bare, str(work), gone)
    with pytest.raises(errors.NotFound, match="There is no branch"):
        await source.fetch(bare, str(work), "c" * 40)
    assert (await source.fetch(bare, str(work), kept)).id == kept


async def test_a_repository_or_a_commit_that_is_too_large_is_refused_and_the_next_is_not(
    work: Path, bare: Path
) -> None:
    (work / "noise").write_bytes(random.Random(1).randbytes(3 << 20))
    committed(work)
    with pytest.raises(errors.Invalid, match="more than 1MiB with its history"):
        await source.fetch(bare, str(work), "main", How(most_bytes=1 << 20))
    assert bare.name not in os.listdir(bare.parent)
    commit = await source.fetch(bare, str(work), "main", How(most_bytes=8 << 20))
    with pytest.raises(errors.Invalid, match="the largest is 'noise' with 3MiB"):
        await source.tree(bare, commit, 1 << 20)


async def test_a_fetch_goes_on_where_a_killed_one_left_its_locks(work: Path, bare: Path) -> None:
    (work / "a").write_text("1")
    committed(work)
    await source.fetch(bare, str(work), "main")
    (work / "a").write_text("2")
    commit = committed(work)
    for left in ("packed-refs.lock", "refs/heads/main.lock", "config.lock", "objects/pack/tmp_pack_x"):
        (bare / left).touch()
    assert (await source.fetch(bare, str(work), "main")).id == commit
    assert not list((bare / "objects" / "pack").glob("tmp_*"))


async def test_names_that_differ_only_in_case_stay_two_files(work: Path, bare: Path) -> None:
    (work / "Readme").write_text("one")
    (work / "README").write_text("two")
    committed(work)
    with tarfile.open(fileobj=io.BytesIO(await tar_of(bare, work))) as tar:
        assert [member.name for member in tar if member.isreg()] == ["app/README", "app/Readme"]
