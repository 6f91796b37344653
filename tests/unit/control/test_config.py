"""Variables: inherited, kept in revisions, part of the release, and never changed under what runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.control.releasing import released, running

from pierhead.control import config, deployments, releases
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.app import Port, Protocol, Spec
from pierhead.release import service

NOTES = Spec("notes", ports=(Port("web", 8000),), env={"LEVEL": "info", "COLOUR": "red"})


async def put(ctx: Context, environment: str = "", *, later: bool = False, **values: str | None) -> config.Changed:
    return await config.change(ctx, "notes", environment, values, "mia", later=later)


async def test_an_environment_wins_over_all_and_all_over_the_app_file(ctx: Context, tmp_path: Path) -> None:
    await running(ctx, NOTES)
    await put(ctx, LEVEL="warning", COLOUR="blue")
    changed = await put(ctx, "dev", COLOUR="green")
    release = await releases.find(ctx, changed.deployments[0].to_release_id)
    assert (release.name, release.config) == ("v3", 2)
    assert release.variables == {"LEVEL": "warning", "COLOUR": "green"}
    assert service.spec(service.Place("pier", tmp_path), release, 1, []).env["COLOUR"] == "green"
    assert [(one.name, one.value, one.scope) for one in await config.listing(ctx, "notes", "dev")] == [
        ("COLOUR", "green", "dev"),
        ("LEVEL", "warning", "all environments"),
    ]


async def test_a_change_makes_a_release_of_the_same_image_where_it_makes_a_difference(ctx: Context) -> None:
    first = await running(ctx, NOTES)
    await running(ctx, NOTES, environment="staging")
    await put(ctx, "staging", LEVEL="debug")
    changed = await put(ctx, LEVEL="warning")
    assert [(one.environment, one.kind, one.author) for one in changed.deployments] == [("dev", "config", "mia")]
    release = await releases.find(ctx, changed.deployments[0].to_release_id)
    assert (release.image, release.commit) == (first.image, first.commit)


async def test_going_back_brings_the_config_back(ctx: Context) -> None:
    first = await running(ctx, NOTES)
    changed = await put(ctx, LEVEL="debug")
    await deployments.succeeded(ctx, changed.deployments[0], "")
    back = await releases.rollback(ctx, "notes", "dev", None)
    assert back.to_release_id == first.id
    assert (await releases.find(ctx, back.to_release_id)).variables["LEVEL"] == "info"


async def test_what_waits_for_the_next_release_is_shown_as_not_running(ctx: Context) -> None:
    await running(ctx, NOTES)
    assert (await put(ctx, later=True, LEVEL="debug")).deployments == []
    assert {one.name: one.is_released for one in await config.listing(ctx, "notes", "dev")} == {
        "LEVEL": False,
        "COLOUR": True,
    }
    await running(ctx, NOTES, "beef")
    assert all(one.is_released for one in await config.listing(ctx, "notes", "dev"))


async def test_a_change_during_a_deployment_takes_what_is_on_its_way_along(ctx: Context) -> None:
    await running(ctx, NOTES)
    await released(ctx, NOTES, "beef")
    changed = await put(ctx, LEVEL="debug")
    assert (await releases.find(ctx, changed.deployments[0].to_release_id)).commit == "beef"


async def test_every_revision_is_kept_and_compared(ctx: Context) -> None:
    await running(ctx, NOTES)
    await put(ctx, A="1", B="2")
    await put(ctx, "dev", A="9")
    await put(ctx, B=None)
    shown = [(one.number, one.author, one.environment, dict(one.changes)) for one in await config.history(ctx, "notes")]
    assert shown == [
        (3, "mia", "", {"B": None}),
        (2, "mia", "dev", {"A": "9"}),
        (1, "mia", "", {"A": "1", "B": "2"}),
    ]
    assert await config.diff(ctx, "notes", "dev", 1, None) == [
        config.Difference("A", "1", "9"),
        config.Difference("B", "2", None),
    ]
    assert await config.diff(ctx, "notes", "staging", 1, 2) == []


async def test_what_cannot_be_is_refused_whole(ctx: Context) -> None:
    await running(ctx, NOTES)
    with pytest.raises(errors.Invalid, match="names that begin with PIER_"):
        await put(ctx, GOOD="1", PIER_APP="x")
    with pytest.raises(errors.NotFound, match="no variable NONE"):
        await put(ctx, NONE=None)
    assert await config.history(ctx, "notes") == []
    await put(ctx, GOOD="1")
    with pytest.raises(errors.Conflict, match="nothing was changed"):
        await put(ctx, GOOD="1")
    with pytest.raises(errors.NotFound, match="no revision 7"):
        await config.diff(ctx, "notes", "dev", 7, None)


async def test_references_lead_to_the_same_environment_and_nowhere_else(ctx: Context) -> None:
    await running(ctx, Spec("clock", ports=(Port("web", 80),)))
    await running(ctx, Spec("cache", ports=(Port("main", 6379, Protocol.TCP),)), environment="staging")
    spec = Spec("notes", env={"CLOCK": "${service.clock.url}/now", "TEXT": "$${service.x} ${HOME}"})
    assert (await running(ctx, spec)).variables == {
        "CLOCK": "http://clock.dev.localhost:8080/now",
        "TEXT": "${service.x} ${HOME}",
    }
    await running(ctx, spec, environment="staging")
    changed = await put(ctx, "staging", CACHE="redis://${service.cache}/0")
    release = await releases.find(ctx, changed.deployments[0].to_release_id)
    assert release.variables["CLOCK"] == "http://clock.staging.localhost:8080/now"
    assert release.variables["CACHE"] == "redis://127.0.0.1:7000/0"
    with pytest.raises(errors.Invalid, match=r"variable CLOCK: \$\{service\.clok\.host\}: there is no app clok"):
        await put(ctx, CLOCK="${service.clok.host}")
    assert len(await config.history(ctx, "notes")) == 1
