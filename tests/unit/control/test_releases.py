"""From a build to a deployment, and back to an earlier release."""

from __future__ import annotations

import pytest
from tests.unit.control.releasing import released

from pierhead.control import apps, builds, deployments, releases, secrets
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.app import Port, Protocol, Spec
from pierhead.model.build import BuildState
from pierhead.model.release import DeploymentState
from pierhead.store import journal
from pierhead.store import releases as stored
from pierhead.store.journal import Subject
from pierhead.store.releases import Image

WEB = Port("web", 8000)


async def test_a_build_becomes_the_next_release_and_a_deployment(ctx: Context) -> None:
    first = await released(ctx, Spec("notes", ports=(WEB,)))
    assert await deployments.succeeded(ctx, first, "done")
    second = await released(ctx, Spec("notes", ports=(WEB,)), "beef")

    listed = await releases.listing(ctx, "notes")
    assert [(one.release.name, one.release.commit, one.is_current) for one in listed] == [
        ("v2", "beef", False),
        ("v1", "c0ffee", True),
    ]
    assert second.from_release_id == listed[1].release.id
    assert [build.state for build in await builds.listing(ctx)] == [BuildState.SUCCEEDED] * 2


async def test_a_newer_deployment_supersedes_an_older_one(ctx: Context) -> None:
    first = await released(ctx, Spec("notes"))
    second = await released(ctx, Spec("notes"))
    superseded = await deployments.find(ctx, first.id)
    told = (DeploymentState.SUPERSEDED, f"Deployment {second.id} came after it.")
    assert (superseded.state, superseded.reason) == told
    async with ctx.store.read() as db:
        last = (await journal.after(db, Subject.DEPLOYMENT, first.id, 0))[-1]
    assert (last.step, last.text) == ("superseded", superseded.reason)
    assert not await deployments.succeeded(ctx, first, "too late")
    assert (await apps.place(ctx, "notes", "dev")).moving == second


async def test_only_a_deployment_that_has_a_share_is_continued_and_who_cancels_it_is_kept(ctx: Context) -> None:
    moving = await released(ctx, Spec("notes"))
    with pytest.raises(errors.Conflict, match="does not pause for anybody to continue it: It was asked for just now"):
        await deployments.proceed(ctx, moving.id, "mia")
    await deployments.shared(ctx, moving.id, 0)
    assert (await deployments.proceed(ctx, moving.id, "mia")).continued == 0
    assert (await deployments.cancel(ctx, moving.id, "mia")).reason == "Cancelled by mia."
    with pytest.raises(errors.Conflict, match="has ended already"):
        await deployments.proceed(ctx, moving.id, "mia")


async def test_rollback_goes_to_what_ran_before_even_twice(ctx: Context) -> None:
    first = await released(ctx, Spec("notes"))
    await deployments.succeeded(ctx, first, "")
    second = await released(ctx, Spec("notes"))
    await deployments.succeeded(ctx, second, "")

    back = await releases.rollback(ctx, "notes", "dev", None)
    assert (back.from_release_id, back.to_release_id) == (second.to_release_id, first.to_release_id)
    await deployments.succeeded(ctx, back, "")
    forth = await releases.rollback(ctx, "notes", "dev", None)
    assert forth.to_release_id == second.to_release_id


async def test_nobody_goes_back_to_a_release_whose_image_was_pruned_until_it_is_built_again(ctx: Context) -> None:
    for commit in ("c0ffee", "beef", "f00d"):
        await deployments.succeeded(ctx, await released(ctx, Spec("notes"), commit), "")
    async with ctx.store.write() as db:
        await stored.pruned(db, "notes", ["sha256:c0ffee", "sha256:beef"])
        await stored.pruned(db, "other", ["sha256:f00d"])
    listed = await releases.listing(ctx, "notes")
    assert [(one.release.name, one.release.pruned_at is None) for one in listed] == [
        ("v3", True),
        ("v2", False),
        ("v1", False),
    ]
    with pytest.raises(errors.Conflict, match=r"notes v1 cannot run any more: its image was pruned at 2") as caught:
        await releases.rollback(ctx, "notes", "dev", 1)
    assert "Deploy its commit c0ffee again" in caught.value.hint
    with pytest.raises(errors.Conflict, match="no earlier release"):
        await releases.rollback(ctx, "notes", "dev", None)
    await released(ctx, Spec("notes"), "c0ffee", environment="staging")
    assert (await releases.rollback(ctx, "notes", "dev", 1)).kind == "rollback"


async def test_a_restart_is_a_release_of_the_same_image_with_the_newest_secrets(ctx: Context) -> None:
    await secrets.put(ctx, "notes", "dev", "KEY", b"one")
    first = await released(ctx, Spec("notes", secrets=("KEY",)))
    await deployments.succeeded(ctx, first, "")
    await secrets.put(ctx, "notes", "dev", "KEY", b"two")
    again = await releases.restart(ctx, "notes", "dev", "mia")
    release = await releases.find(ctx, again.to_release_id)
    assert (release.name, release.commit, release.secrets) == ("v2", "c0ffee", {"KEY": 2})


async def test_rollback_says_what_there_is_to_go_to(ctx: Context) -> None:
    with pytest.raises(errors.NotFound, match="no app 'nots'"):
        await releases.rollback(ctx, "nots", "dev", None)
    first = await released(ctx, Spec("notes"))
    with pytest.raises(errors.Conflict, match="has no release in dev"):
        await releases.rollback(ctx, "notes", "dev", None)
    await deployments.succeeded(ctx, first, "")
    with pytest.raises(errors.Conflict, match="no earlier release"):
        await releases.rollback(ctx, "notes", "dev", None)
    with pytest.raises(errors.NotFound, match="no release v9"):
        await releases.rollback(ctx, "notes", "dev", 9)


async def test_a_release_waits_for_its_secrets_and_keeps_their_versions(ctx: Context) -> None:
    spec = Spec("notes", secrets=("DATABASE_URL",))
    with pytest.raises(errors.Invalid, match=r"secrets\.DATABASE_URL: has no value"):
        await released(ctx, spec)
    await secrets.put(ctx, "notes", "dev", "DATABASE_URL", b"one")
    await builds.cancel(ctx, 1)
    deployment = await released(ctx, spec)
    await secrets.put(ctx, "notes", "dev", "DATABASE_URL", b"two")
    release = await releases.find(ctx, deployment.to_release_id)
    assert release.secrets == {"DATABASE_URL": 1}
    assert await secrets.reveal(ctx, "notes", "dev", "DATABASE_URL", 1) == b"one"


async def test_a_tcp_port_keeps_the_service_port_it_was_given(ctx: Context) -> None:
    tcp = Spec("cache", ports=(Port("main", 6379, Protocol.TCP),))
    first = await releases.find(ctx, (await released(ctx, tcp)).to_release_id)
    second = await releases.find(ctx, (await released(ctx, tcp)).to_release_id)
    assert first.spec.ports[0].service_port == second.spec.ports[0].service_port == 7000
    taken = Spec("other", ports=(Port("main", 6379, Protocol.TCP, service_port=7000),))
    with pytest.raises(errors.Conflict, match="7000 belongs to cache"):
        await released(ctx, taken)


async def test_a_cancelled_build_releases_nothing(ctx: Context) -> None:
    await builds.request(ctx, "notes", "dev", "https://git.example/notes", "main")
    build = await builds.claim(ctx)
    assert build is not None
    await builds.cancel(ctx, build.id)
    assert await releases.propose(ctx, build, Spec("notes"), Image("i", "c", "s")) is None
    assert await releases.listing(ctx, "notes") == []


async def test_an_app_that_is_removed_is_gone_whole(ctx: Context) -> None:
    deployment = await released(ctx, Spec("notes", ports=(Port("main", 1, Protocol.TCP),)))
    await deployments.succeeded(ctx, deployment, "")
    await apps.remove(ctx, "notes")
    assert await apps.places(ctx) == []
    assert await builds.listing(ctx) == []


async def test_no_two_apps_have_the_same_name(ctx: Context) -> None:
    await released(ctx, Spec("notes", ports=(Port("web", 8000, hosts=("notes.example",)),)))
    with pytest.raises(errors.Conflict, match=r"notes\.example/ belongs to notes in dev"):
        await released(ctx, Spec("other", ports=(Port("web", 8000, hosts=("notes.example",)),)))
    other_path = Port("web", 8000, hosts=("notes.example",), paths=("/admin",))
    await released(ctx, Spec("admin", ports=(other_path,)))
    await released(ctx, Spec("notes", ports=(Port("web", 8000, hosts=("notes.example",)),)))
