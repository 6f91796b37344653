"""An environment as a plan sees it: its target, and which requests go where while it moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pierhead.control.apps import Place
from pierhead.model.app import Deploy, Domains, Gate, Hooks, Port, Spec, Stage, Strategy
from pierhead.model.receipt import Count, Receipt
from pierhead.model.release import DeploymentState, Release
from pierhead.release.picture import Hook, Running
from pierhead.release.routes import Shares, routes
from pierhead.release.scene import Clock, Scene, hook, planned, preview, routed, target, weights
from pierhead.store.deployments import Deployment

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def release(number: int, deploy: Deploy | None = None) -> Release:
    spec = Spec("notes", ports=(Port("web", 8000),), replicas=2, deploy=deploy or Deploy())
    return Release(number, "notes", "dev", number, "image", "c0ffee", "", spec, {}, NOW)


MOVING = Deployment(7, "notes", "dev", "deploy", 1, 2, DeploymentState.WAITING, "", NOW, None)
OLD = Running("notes-dev-v1", 2, 2, ready=2)
NEW = Running("notes-dev-v2", 2, 2, ready=2)


def scene(deploy: Deploy | None = None, **moving: object) -> Scene:
    deployment = replace(MOVING, **moving)  # type: ignore[arg-type]
    return Scene(Place("notes", "dev", release(1), deployment, 2, None, ()), release(2, deploy), "pier")


REST = Scene(Place("notes", "dev", release(1), None, 2, None, ()), release(1), "pier")


def test_requests_are_divided_as_the_deployment_says() -> None:
    assert weights(scene(), [OLD, NEW]) == {}
    assert weights(scene(share=20), [OLD, NEW]) == {"v2": 20, "*": 80}
    assert weights(scene(share=0), [OLD, NEW]) == {"v2": 0, "*": 100}


def test_who_has_no_instance_gets_no_share() -> None:
    assert weights(scene(share=0), [replace(OLD, ready=0), NEW]) == {}
    assert weights(scene(share=100), [OLD, replace(NEW, ready=0)]) == {}


def test_what_was_taken_back_gets_nothing_once_the_old_one_is_whole() -> None:
    assert weights(REST, [replace(OLD, ready=1), NEW]) == {}
    assert weights(REST, [OLD, NEW]) == {"v1": 100, "*": 0}
    assert weights(REST, [OLD]) == {}


def test_a_release_that_must_not_run_twice_decides_for_both() -> None:
    careful = Scene(replace(REST.place, moving=MOVING), release(2, Deploy(Strategy.STOP_FIRST)), "pier")
    found = target(careful, Clock(NOW, NOW), Receipt())
    assert found
    assert (found.strategy, found.base) == (Strategy.STOP_FIRST, "notes-dev-v1")


def test_the_counters_and_the_time_at_a_share_are_part_of_the_picture() -> None:
    deploy = Deploy(Strategy.CANARY, stages=(Stage(10, None),), gate=Gate(0.01, 10))
    since = NOW - timedelta(seconds=30)
    moving = scene(deploy, share=10, share_at=since, continued=10)
    found = target(moving, Clock(NOW, since), Receipt(releases={"v2": Count(20, errors=1)}))
    assert found
    assert (found.held, found.moving, found.is_continued) == (timedelta(seconds=30), timedelta(seconds=30), True)
    assert found.verdict == "5 % of 20 requests failed, 1 % may"
    few = target(moving, Clock(NOW, since), Receipt(releases={"v2": Count(3)}))
    assert few
    assert (few.verdict, few.undecided) == ("", "3 of 10 requests that the gate wants to see")


def test_a_hook_runs_once_and_never_on_the_way_back() -> None:
    deploy = Deploy(hooks=Hooks(pre_deploy=("migrate",)))
    assert hook(scene(deploy), "pre_deploy", ()) is Hook.DUE
    assert hook(scene(deploy), "pre_deploy", ["pre_deploy"]) is Hook.RUNS
    assert hook(scene(deploy, hooks={"pre_deploy": "succeeded"}), "pre_deploy", ()) is Hook.NONE
    assert hook(scene(deploy, hooks={"pre_deploy": "exit code 1"}), "pre_deploy", ()) is Hook.FAILED
    assert hook(scene(deploy, kind="rollback"), "pre_deploy", ()) is Hook.NONE
    assert hook(scene(deploy), "post_deploy", ()) is Hook.NONE


def test_a_blue_green_release_is_found_at_its_preview_host_before_requests_move() -> None:
    green = scene(Deploy(Strategy.BLUE_GREEN), share=0)
    found = routes(green.known, Domains("localhost"), "pier", Shares(planned(green), preview(green, green.known)))
    waiting = found["notes-dev-preview"]
    assert (waiting.hosts, waiting.release, waiting.weights) == (("preview.notes.dev.localhost",), "v2", {})
    assert (found["notes-dev"].release, found["notes-dev"].weights) == ("", {"v2": 0, "*": 100})
    assert preview(REST, REST.known) is None


def test_who_cannot_be_seen_keeps_the_share_that_was_written_down() -> None:
    assert planned(scene(share=0)) == {"v2": 0, "*": 100}
    assert (planned(scene()), planned(REST)) == ({}, {})


def test_a_release_that_may_not_begin_changes_no_route_and_one_that_has_begun_keeps_its_own() -> None:
    green = scene(Deploy(Strategy.BLUE_GREEN))
    blocked = replace(green, place=replace(green.place, blocked="waits for approval"))
    assert [one.name for one in routed(green, [OLD.name], Hook.NONE)] == ["v2", "v1"]
    assert [one.name for one in routed(green, [OLD.name], Hook.RUNS)] == ["v1"]
    held = routed(blocked, [OLD.name], Hook.NONE)
    assert ([one.name for one in held], preview(blocked, held)) == (["v1"], None)
    assert [one.name for one in routed(blocked, [OLD.name, NEW.name], Hook.NONE)] == ["v2", "v1"]
