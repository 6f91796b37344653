"""What a newcomer sees: a commit becomes an app that answers, a new commit replaces it unnoticed, and back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pierhead.boot import access
from pierhead.control.keyring import Keyring
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.model.keys import Keys
from pierhead.settings import load
from pierhead.testing import ports
from pierhead.testing.authority import Authority
from pierhead.testing.load import Load, ask
from pierhead.testing.waiting import until
from pierhead.testing.whole import PIER, Pierhead, Repository
from pierhead.wire.consul import agent

HOST = "site.dev.localhost"


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


def healthy(pierhead: Pierhead) -> set[str]:
    """Those of `site`; what a release before it left behind is none of them."""
    return {one["id"] for one in pierhead.json("ps", "site")["instances"] if one["state"] == "healthy"}


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


def test_a_deployment_ends_although_a_gateway_does_not_say_what_it_does(pierhead: Pierhead, site: Repository) -> None:
    before, text = ask(pierhead.gateway, HOST), (site.folder / "pier.yaml").read_text()
    site.write("pier.yaml", text + "deploy: {deadline: 2s}\n")
    site.commit("Be impatient")
    settings = load.load(pierhead.home / "pier.toml", {}, {"home": str(pierhead.home)})
    mute = agent.Registration(GATEWAY_SERVICE, id="mute", address="127.0.0.1", port=ports.free_port())

    async def told(register: bool) -> None:
        async with access.client(settings) as client:
            await (agent.register(client, mute) if register else agent.deregister(client, mute.id))

    asyncio.run(told(True))
    failed = pierhead.pier("deploy", str(site.folder), check=False)
    asyncio.run(told(False))
    assert (failed.returncode, f"not seen ready within 4 s: The gateway at 127.0.0.1:{mute.port}" in failed.stderr) == (
        6,
        True,
    ), failed.stderr
    assert ask(pierhead.gateway, HOST) == before
    site.write("pier.yaml", text)
    site.commit("Be patient")


def test_logs_and_exec_reach_the_instance(pierhead: Pierhead, site: Repository) -> None:
    instance = pierhead.json("ps", "site")["instances"][0]["id"]
    shown = pierhead.pier("exec", instance[:12], "--", "sh", "-c", "echo hello; exit 7", check=False)
    assert (shown.returncode, shown.stdout.strip()) == (7, "hello")
    ask(pierhead.gateway, HOST)
    assert "GET /" in pierhead.pier("logs", "site", "--tail", "200").stdout


def test_a_person_leads_a_name_of_their_own_to_a_service(pierhead: Pierhead, site: Repository) -> None:
    own = ("--service", "site-dev", "--host", "own.localhost", "--set", "sticky=true")
    assert pierhead.json("routes", "add", "own", *own)["sticky"]
    until(lambda: ask(pierhead.gateway, "own.localhost")[0] == 200)
    wrong = pierhead.pier("routes", "add", "b", *own, "--set", "stick=true", check=False)
    assert wrong.returncode == 2
    assert "stick: there is no such field (did you mean sticky?)" in wrong.stderr
    assert pierhead.json("routes", "remove", "own") == {"removed": "own"}
    until(lambda: ask(pierhead.gateway, "own.localhost")[0] == 404)


def test_a_command_runs_once_with_config_and_secrets_and_leaves_nothing(pierhead: Pierhead, site: Repository) -> None:
    for environment in ("dev", "staging"):
        told = [str(PIER), "secret", "set", "site", "key", "-e", environment]
        subprocess.run(told, input=b"v3ry-s3cret\n", env=pierhead.environment, check=True, capture_output=True)
    pierhead.pier("variable", "set", "site", "LEVEL=everywhere", "--later")
    text = (site.folder / "pier.yaml").read_text()
    config = "secret_env: {TOKEN: key}\nenv: {PEER: '${service.site.address}'}\n"
    site.write("pier.yaml", text + config + "environments: {staging: {ports: {web: {hosts: []}}}}\n")
    site.commit("Have a secret")
    address = pierhead.gateway.removeprefix("http://127.0.0.1")
    plan = pierhead.pier("plan", str(site.folder), "-e", "staging", check=False)
    assert (plan.returncode, "variable TOKEN: nothing → the secret key" in plan.stdout) == (2, True)
    assert f"variable PEER: nothing → site.staging.localhost{address}" in plan.stdout
    pierhead.pier("deploy", str(site.folder))
    containers = docker("ps", "--quiet", "--no-trunc").split()
    shown = docker("inspect", *containers) + docker("service", "inspect", *docker("service", "ls", "-q").split())
    assert ("TOKEN=key" in shown, "v3ry-s3cret" in shown) == (True, False)

    script = 'echo "$TOKEN $PEER $LEVEL $MORE"; cat; exit 7'
    command = [str(PIER), "run", "--env", "MORE=more", "site", "--", "sh", "-c", script]
    ran = subprocess.run(command, input="typed", env=pierhead.environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (7, f"v3ry-s3cret {HOST}{address} everywhere more\ntyped"), ran.stderr
    detached = json.loads(pierhead.pier("run", "-d", "--json", "site", "sh", "-c", "echo $TOKEN; exit 3").stdout)
    leaving = [str(PIER), "run", "site", "--", "sleep", "1000"]
    with subprocess.Popen(leaving, env=pierhead.environment) as left:
        until(lambda: pierhead.json("runs", "site")[0]["state"] == "running")
        left.terminate()
    assert left.returncode == 130

    until(lambda: all(one["ended_at"] for one in pierhead.json("runs", "site")))
    newest, by_itself, first = pierhead.json("runs", "site")[:3]
    assert (newest["state"], newest["reason"]) == ("failed", "Ended by admin.")
    assert (by_itself["id"], by_itself["exit_code"], by_itself["output"]) == (detached["id"], 3, "[secret key]")
    assert (first["exit_code"], first["command"]) == (7, ["sh", "-c", script])
    until(lambda: "run-site-" not in docker("ps", "--all", "--format", "{{.Names}}"))
    until(lambda: "run-site-" not in docker("service", "ls", "--format", "{{.Name}}"))
    site.write("pier.yaml", text)
    site.commit("Have no secret")


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


def test_a_key_is_replaced_although_the_server_was_killed_in_the_middle(pierhead: Pierhead, site: Repository) -> None:
    kept = healthy(pierhead)
    subprocess.run([PIER, "secret", "set", "sealed", "KEY"], input=b"value", env=pierhead.environment, check=True)
    file, before = pierhead.home / "secret.key", Keyring.kept(pierhead.home / "secret.key")
    rows = [("sealed", "dev", "KEY", 2 + n, before.seal(b"value %d" % n), "2026-01-01") for n in range(1500)]
    with closing(sqlite3.connect(pierhead.home / "pier.db", timeout=60)) as database:
        database.executemany("INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    command = [str(PIER), "secret", "rotate-key"]
    with subprocess.Popen(command, env=pierhead.environment, stderr=subprocess.PIPE, text=True) as rotating:
        assert rotating.stderr
        assert "values to seal" in rotating.stderr.readline()
        os.kill(json.loads((pierhead.home / "run" / "pier.process").read_text())["pid"], signal.SIGKILL)
    held = Keyring.kept(file).held
    assert held.old == before.held.current
    pierhead.pier("up")
    until(lambda: Keyring.kept(file).held == Keys(held.current))
    with closing(sqlite3.connect(pierhead.home / "pier.db", timeout=60)) as database:
        found = database.execute("SELECT version, ciphertext FROM secrets WHERE app = 'sealed'").fetchall()
    opened = {version: held.settled().open(sealed) for version, sealed in found}
    assert opened == {1: b"value"} | {2 + n: b"value %d" % n for n in range(1500)}
    # The mark of the registry's account is made with that key, so every engine service is told the account again.
    until(lambda: (found := pierhead.json("registry", "show"))["told"] == found["services"] > 0)
    assert healthy(pierhead) == kept, "nothing is restarted"
    assert ask(pierhead.gateway, HOST)[0] == 200


def test_the_same_commit_is_the_same_image(pierhead: Pierhead, site: Repository) -> None:
    pierhead.pier("deploy", str(site.folder))
    pierhead.pier("deploy", str(site.folder))
    newest, before = pierhead.json("releases", "site")[:2]
    assert newest["image"] == before["image"]
    assert urlsplit(f"//{newest['image']}").netloc


def test_the_registrys_account_is_replaced_without_a_failed_request_and_nodes_pull_with_the_new_one(
    pierhead: Pierhead, site: Repository
) -> None:
    until(
        lambda: len(docker("service", "ls", "--quiet", "--filter", "label=pier.app=site").split()) == 1, "one is left"
    )
    before = pierhead.json("registry", "show")
    assert (before["is_embedded"], before["old"], before["told"]) == (True, [], before["services"])
    anonymous = urllib.request.Request(f"http://{before['address']}/v2/_catalog")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(anonymous, timeout=10)  # noqa: S310
    kept = healthy(pierhead)
    with Load(pierhead.gateway, HOST) as load:
        made = pierhead.json("registry", "rotate")
        assert made["old"] == [before["account"]]
        until(lambda: pierhead.json("registry", "show")["old"] == [])
        after = pierhead.json("registry", "show")
        assert (after["account"], after["told"]) == (made["account"], before["services"])
        assert healthy(pierhead) == kept, "nothing is restarted"
        # The image that runs, forgotten by the engine as if this were another node: the next instance pulls it.
        image = pierhead.json("releases", "site")[0]["image"]
        docker("image", "rm", "--force", image)
        pierhead.pier("scale", "site", "2")
        until(lambda: [one["state"] for one in pierhead.json("ps", "site")["instances"]].count("healthy") == 2)
        pierhead.pier("scale", "site", "1")
    assert load.failures == []
    password = (pierhead.home / "registry-accounts").read_text().strip().partition(":")[2]
    logs = "".join(file.read_text(errors="replace") for file in (pierhead.home / "log").iterdir())
    assert password not in logs
    assert password not in docker("service", "ls", "--format", "{{.ID}}") + docker("service", "inspect", *services())


def test_garbage_is_collected_while_the_registry_takes_no_uploads_and_the_next_build_works(
    pierhead: Pierhead, site: Repository
) -> None:
    told = pierhead.json("prune")
    done = pierhead.json("prune", "--yes")
    assert len(done["removed"]) == len(told["removals"])
    until(lambda: {part["state"] for part in pierhead.json("status")["parts"]} == {"ready"})
    site.write("index.html", "after the clean-up")
    site.commit("Say something else")
    pierhead.pier("deploy", str(site.folder))
    assert ask(pierhead.gateway, HOST) == (200, "after the clean-up")


def services() -> list[str]:
    return docker("service", "ls", "--quiet").split()


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout
