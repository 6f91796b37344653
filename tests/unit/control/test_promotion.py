"""From one environment to the next: the same image, what differs told before, and what may not go."""

from __future__ import annotations

import pytest
from tests.unit.control.releasing import released, running

from pierhead import appfile
from pierhead.control import apps, builds, config, deployments, environments, promotion, releases, secrets
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.environment import Environment, Freeze
from pierhead.model.release import Release
from pierhead.release import simulate
from pierhead.store.releases import Image

FILE = """\
app: notes
ports: {web: {port: 8000}}
env: {LEVEL: info}
secrets: [KEY]
environments:
  staging: {replicas: 3, env: {LEVEL: warning}}
"""


async def dev(ctx: Context, commit: str = "c0ffee") -> Release:
    await secrets.put(ctx, "notes", "dev", "KEY", b"dev")
    return await running(ctx, appfile.read(FILE.encode()).spec("dev"), commit, file=FILE)


async def told(ctx: Context, source: str = "dev", target: str = "staging") -> list[str]:
    found = await promotion.preview(ctx, "notes", source, target, simulate.steps)
    return [str(one) for one in found.differences]


async def test_the_same_image_goes_with_what_the_other_environment_has(ctx: Context) -> None:
    first = await dev(ctx)
    await secrets.put(ctx, "notes", "staging", "KEY", b"staging")
    deployment = await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    release = await releases.find(ctx, deployment.to_release_id)
    assert (release.image, release.commit, release.name) == (first.image, first.commit, "v1")
    assert (release.spec.replicas, release.variables) == (3, {"LEVEL": "warning"})
    assert (deployment.kind, deployment.author) == ("promote", "mia")


async def test_everything_that_differs_is_told_before_and_nothing_is_changed(ctx: Context) -> None:
    await dev(ctx)
    await secrets.put(ctx, "notes", "staging", "KEY", b"one")
    first = await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    await deployments.succeeded(ctx, first, "")
    await dev(ctx, "beef")
    await secrets.put(ctx, "notes", "staging", "KEY", b"two")
    await config.change(ctx, "notes", "staging", {"COLOUR": "red"}, "mia", later=True)
    await environments.put(ctx, Environment("staging", domain="stage.example", replicas=2))
    assert await told(ctx) == [
        "image: sha256:c0ffee → sha256:beef",
        "commit: c0ffee → beef",
        "scale replicas: 3 → 2",
        "route notes.stage.example/: nothing → notes.stage.example/",
        "variable COLOUR: nothing → red",
        "secret KEY: version 1 → version 2",
    ]
    found = await promotion.preview(ctx, "notes", "dev", "staging", simulate.steps)
    assert found.before == "v1"
    assert found.steps[0] == "create the next release: 0 of 2 running"
    assert [one.release.name for one in await releases.listing(ctx, "notes", "staging")] == ["v1"]


async def test_what_is_told_is_what_would_run_and_what_it_would_wait_for(ctx: Context) -> None:
    await dev(ctx)
    await secrets.put(ctx, "notes", "staging", "KEY", b"one")
    await deployments.succeeded(ctx, await promotion.promote(ctx, "notes", "dev", "staging", "mia"), "")
    await apps.scale(ctx, "notes", "staging", 5)
    freezes = (Freeze("2020-01-01", "2120-01-01", "audit"),)
    await environments.put(ctx, Environment("staging", replicas=2, freezes=freezes))
    assert await told(ctx) == []
    await environments.put(ctx, Environment("staging", domain="stage.example", replicas=2, freezes=freezes))
    found = await promotion.preview(ctx, "notes", "dev", "staging", simulate.steps)
    assert [one.kind for one in found.differences] == ["route"]
    assert found.steps[0] == "pause the next release: staging is frozen until 2120-01-01 00:00 UTC: audit"


async def test_what_may_not_go_is_refused(ctx: Context) -> None:
    with pytest.raises(errors.NotFound, match="no app 'notes'"):
        await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    release = await dev(ctx)
    with pytest.raises(errors.NotFound, match="no environment 'stagin'"):
        await promotion.promote(ctx, "notes", "dev", "stagin", "mia")
    with pytest.raises(errors.Conflict, match="no release in production"):
        await promotion.promote(ctx, "notes", "production", "staging", "mia")
    with pytest.raises(errors.Invalid, match=r"secrets\.KEY: has no value"):
        await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    await secrets.put(ctx, "notes", "staging", "KEY", b"x")
    await releases.bar(ctx, "notes", "dev", 1, "loses notes")
    with pytest.raises(errors.Conflict, match="v1 in dev is barred: loses notes"):
        await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    with pytest.raises(errors.Invalid, match="Say why"):
        await releases.bar(ctx, "notes", "dev", release.number, " ")
    await releases.unbar(ctx, "notes", "dev", release.number)
    first = await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    await deployments.succeeded(ctx, first, "")
    with pytest.raises(errors.Conflict, match="is what it would be"):
        await promotion.promote(ctx, "notes", "dev", "staging", "mia")


async def test_a_plan_tells_what_a_commit_would_change(ctx: Context) -> None:
    await dev(ctx)
    same = await promotion.plan(ctx, "notes", "dev", FILE, "c0ffee", simulate.steps)
    assert (same.differences, same.steps) == ([], [])
    asks = "health: {http: /up}\nplacement: {labels: {disk: ssd}}\nsecrets"
    changed = FILE.replace("port: 8000", "port: 9000").replace("secrets", asks)
    found = await promotion.plan(ctx, "notes", "dev", changed, "beef", simulate.steps)
    assert [str(one) for one in found.differences] == [
        "image: sha256:c0ffee → not built yet",
        "commit: c0ffee → beef",
        "ports web.container_port: 8000 → 9000",
        "health probe: tcp → http",
        "health path: / → /up",
        "health port: nothing → web",
        "labels disk: nothing → ssd",
    ]
    assert found.steps[-1] == "done the next release: 1 of 1 healthy and routed"


async def test_a_secret_as_a_variable_is_told_by_its_name_and_version_only(ctx: Context) -> None:
    await dev(ctx)
    changed = FILE.replace("secrets", "secret_env: {DATABASE_URL: database}\nsecrets")
    with pytest.raises(errors.Invalid, match=r"secrets\.database: has no value"):
        await promotion.plan(ctx, "notes", "dev", changed, "c0ffee", simulate.steps)
    await secrets.put(ctx, "notes", "dev", "database", b"postgres://no\0body")
    with pytest.raises(errors.Invalid, match="cannot be a variable"):
        await promotion.plan(ctx, "notes", "dev", changed, "c0ffee", simulate.steps)
    await secrets.put(ctx, "notes", "dev", "database", b"postgres://nobody")
    found = await promotion.plan(ctx, "notes", "dev", changed, "c0ffee", simulate.steps)
    assert [str(one) for one in found.differences] == [
        "variable DATABASE_URL: nothing → the secret database",
        "secret database: nothing → version 2",
    ]
    await running(ctx, appfile.read(changed.encode()).spec("dev"), file=changed)
    with pytest.raises(errors.Invalid, match="variable DATABASE_URL: is the secret database"):
        await config.change(ctx, "notes", "dev", {"DATABASE_URL": "sqlite://"}, "mia", later=False)


async def test_a_barred_release_is_passed_over_on_the_way_back(ctx: Context) -> None:
    first = await dev(ctx)
    await dev(ctx, "beef")
    await dev(ctx, "cafe")
    await releases.bar(ctx, "notes", "dev", 2, "loses notes")
    with pytest.raises(errors.Conflict, match="barred: loses notes"):
        await releases.rollback(ctx, "notes", "dev", 2)
    with pytest.raises(errors.Conflict, match="no earlier release"):
        await releases.rollback(ctx, "notes", "dev", None)
    assert (await releases.rollback(ctx, "notes", "dev", 1)).to_release_id == first.id


async def test_a_deployment_waits_for_people_and_going_back_does_not(ctx: Context) -> None:
    await dev(ctx)
    await environments.put(ctx, Environment("dev", approvals=1, freezes=(Freeze("2026-01-01", "2026-01-02"),)))
    spec = appfile.read(FILE.encode()).spec("dev")
    waiting = await released(ctx, spec, "beef", file=FILE)
    assert "waits for approval, 0 of 1" in (await apps.place(ctx, "notes", "dev")).blocked
    await deployments.approve(ctx, waiting.id, "mia")
    assert (await apps.place(ctx, "notes", "dev")).blocked == ""
    await releases.rollback(ctx, "notes", "dev", 1)
    assert (await apps.place(ctx, "notes", "dev")).blocked == ""


async def test_who_pushed_it_does_not_approve_it_and_a_freeze_is_overridden_with_a_reason(ctx: Context) -> None:
    await dev(ctx)
    holds = Environment("staging", approvals=1, not_author=True, freezes=(Freeze("2020-01-01", "2120-01-01", "audit"),))
    await environments.put(ctx, holds)
    await secrets.put(ctx, "notes", "staging", "KEY", b"x")
    waiting = await promotion.promote(ctx, "notes", "dev", "staging", "mia")
    with pytest.raises(errors.Denied, match="mia asked for deployment 2, and staging wants it approved by others"):
        await deployments.approve(ctx, waiting.id, "mia")
    await deployments.approve(ctx, waiting.id, "lin")
    assert "frozen until 2120-01-01 00:00 UTC: audit" in (await apps.place(ctx, "notes", "staging")).blocked
    with pytest.raises(errors.Invalid, match="Say why"):
        await deployments.override(ctx, waiting.id, "mia", " ")
    await deployments.override(ctx, waiting.id, "mia", "a leak")
    assert (await apps.place(ctx, "notes", "staging")).blocked == ""
    assert (await deployments.find(ctx, waiting.id)).override == "mia: a leak"
    built = await builds.request(ctx, "notes", "staging", "https://git.example/notes", "main", author="mia")
    assert (await builds.claim(ctx), built.author) == (await builds.find(ctx, built.id), "mia")
    image = Image("registry/notes@sha256:beef", "beef", "A commit", FILE)
    made = await releases.propose(ctx, built, appfile.read(FILE.encode()).spec("staging"), image)
    assert made
    assert made.author == "mia"


async def test_environments_are_made_and_removed(ctx: Context) -> None:
    await environments.create(ctx, Environment("load-test", replicas=9))
    assert [one.name for one in await environments.listing(ctx)] == ["dev", "staging", "production", "load-test"]
    with pytest.raises(errors.Conflict, match="already"):
        await environments.create(ctx, Environment("load-test"))
    with pytest.raises(errors.Invalid, match=r"(?s)name: 'Load'.*domain: '-'.*freezes: 'x' is no time"):
        await environments.create(ctx, Environment("Load", domain="-", freezes=(Freeze("x", "y"),)))
    await dev(ctx)
    await secrets.put(ctx, "notes", "load-test", "KEY", b"x")
    first = await promotion.promote(ctx, "notes", "dev", "load-test", "mia")
    await deployments.succeeded(ctx, first, "")
    with pytest.raises(errors.Conflict, match="notes is released in load-test"):
        await environments.remove(ctx, "load-test")
    await apps.remove(ctx, "notes")
    await environments.remove(ctx, "load-test")
    with pytest.raises(errors.Conflict, match="is always there"):
        await environments.remove(ctx, "dev")
