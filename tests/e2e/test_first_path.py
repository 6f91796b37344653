"""What a newcomer sees: a commit becomes an app that answers, a new commit replaces it unnoticed, and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pierhead.testing.authority import Authority
from pierhead.testing.load import Load, ask
from pierhead.testing.whole import Pierhead, Repository

HOST = "site.dev.localhost"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def site(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The static example, deployed, with two instances."""
    repository = Repository(tmp_path_factory.mktemp("site"), "site")
    repository.write("index.html", "first")
    repository.commit("Say first")
    pierhead.pier("deploy", str(repository.folder))
    return repository


def test_everything_is_up(pierhead: Pierhead) -> None:
    parts = pierhead.json("status")["parts"]
    assert {part["name"]: part["state"] for part in parts} == dict.fromkeys(
        ("engine", "registry", "catalog", "gateway", "agent", "resolver", "server"), "ready"
    )


def test_a_commit_answers_at_the_apps_name(pierhead: Pierhead, site: Repository) -> None:
    assert ask(pierhead.gateway, HOST) == (200, "first")
    assert ask(pierhead.gateway, "nobody.localhost")[0] == 404


def test_a_new_commit_replaces_the_old_one_without_a_failed_request(pierhead: Pierhead, site: Repository) -> None:
    before = ask(pierhead.gateway, HOST)[1]
    with Load(pierhead.gateway, HOST) as load:
        site.write("index.html", "second")
        site.commit("Say second")
        pierhead.pier("deploy", str(site.folder))
        assert ask(pierhead.gateway, HOST) == (200, "second")
        pierhead.pier("scale", "site", "4")
        pierhead.pier("scale", "site", "1")
        pierhead.pier("rollback", "site")
        assert ask(pierhead.gateway, HOST) == (200, before)
    assert load.failures == []
    assert load.answers[before] > 20
    assert load.answers["second"] > 20


def test_a_release_that_never_becomes_healthy_leaves_the_old_one(pierhead: Pierhead, site: Repository) -> None:
    before = ask(pierhead.gateway, HOST)
    text = (site.folder / "pier.yaml").read_text()
    site.write("pier.yaml", text + "command: [sh, -c, 'echo the disk is missing >&2; exit 3']\n")
    site.commit("Break it")
    with Load(pierhead.gateway, HOST) as load:
        failed = pierhead.pier("deploy", str(site.folder), check=False)
    assert failed.returncode == 6
    assert "the disk is missing" in failed.stderr
    assert load.failures == []
    assert ask(pierhead.gateway, HOST) == before
    site.write("pier.yaml", text)
    site.commit("Mend it")


def test_logs_and_exec_reach_the_instance(pierhead: Pierhead, site: Repository) -> None:
    instance = pierhead.json("ps", "site")["instances"][0]["id"]
    shown = pierhead.pier("exec", instance[:12], "--", "sh", "-c", "echo hello; exit 7", check=False)
    assert (shown.returncode, shown.stdout.strip()) == (7, "hello")
    ask(pierhead.gateway, HOST)
    assert "GET /" in pierhead.pier("logs", "site", "--tail", "200").stdout


def test_an_app_is_listed_with_its_routes_and_shows_the_maintenance_page_while_it_is_told_to(
    pierhead: Pierhead, site: Repository, tmp_path: Path
) -> None:
    route = next(one for one in pierhead.json("routes") if one["name"] == "site-dev")
    assert (HOST in route["hosts"], route["service"], route["state"], route["problem"]) == (
        True,
        "site-dev",
        "ready",
        "",
    )
    assert pierhead.json("maintenance", "on", "site")["is_in_maintenance"]
    until(lambda: ask(pierhead.gateway, HOST)[0] == 503)
    assert "being worked on" in ask(pierhead.gateway, HOST)[1]
    pierhead.pier("maintenance", "off", "site")
    until(lambda: ask(pierhead.gateway, HOST)[0] == 200)
    made = Authority().make("site.example")
    (tmp_path / "site.pem").write_text(made.pem)
    assert "site.example" in pierhead.pier("certificate", "add", "site", "--chain", str(tmp_path / "site.pem")).stdout
    assert [(one["name"], one["names"]) for one in pierhead.json("certificate", "list")] == [("site", ["site.example"])]
    pierhead.pier("certificate", "remove", "site")
    assert pierhead.pier("certificate", "remove", "site", check=False).returncode == 4
    (tmp_path / "broken.pem").write_text("no certificate")
    broken = pierhead.pier("certificate", "add", "site", "--chain", str(tmp_path / "broken.pem"), check=False)
    assert (broken.returncode, "is no PEM" in broken.stderr) == (2, True)


def test_refusals_say_what_to_do(pierhead: Pierhead, site: Repository, tmp_path: Path) -> None:
    assert pierhead.pier("rollback", "nothing", check=False).returncode == 4
    nowhere = pierhead.pier("deploy", str(tmp_path), check=False)
    assert nowhere.returncode == 2
    assert "git" in nowhere.stderr
    unknown = pierhead.pier("deploy", str(site.folder), "--environment", "prodution", check=False)
    assert unknown.returncode in (2, 6)
    assert "production" in unknown.stderr


def test_the_same_commit_is_the_same_image(pierhead: Pierhead, site: Repository) -> None:
    pierhead.pier("deploy", str(site.folder))
    pierhead.pier("deploy", str(site.folder))
    newest, before = pierhead.json("releases", "site")[:2]
    assert newest["image"] == before["image"]
    assert urlsplit(f"//{newest['image']}").netloc
