"""One app on its way from dev to production: told before, approved, frozen, paused for people, and back."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from pierhead.testing.load import Load, ask
from pierhead.testing.waiting import until
from pierhead.testing.whole import PIER, Pierhead, Repository

pytestmark = pytest.mark.timeout(900)

FILE = """\
app: shop
ports: {web: {port: 8000}}
replicas: 1
health: {http: /healthz}
env: {LEVEL: info, SIZE: small}
secrets: [card]
deploy: {deadline: 3m, drain: 2s, stop: 1s}
environments:
  staging:
    env: {LEVEL: warning}
    deploy:
      strategy: canary
      stages: [{percent: 30, pause: 2s}, {percent: 60, pause: person}, {percent: 80, pause: 1h}]
  production:
    replicas: 2
    env: {LEVEL: error}
    deploy: {strategy: blue-green, preview: person}
"""
PRODUCTION = "shop.production.localhost"
STAGING = "shop.staging.localhost"
ASKED = 100


@dataclass(frozen=True)
class Shop:
    """An app that runs in three environments, and the people who look after it."""

    admin: Pierhead
    mia: Pierhead
    repository: Repository

    def released(self, text: str) -> None:
        """Dev runs a commit that says so."""
        self.repository.write("index.html", text)
        self.repository.commit(f"Say {text}")
        self.admin.pier("deploy", str(self.repository.folder))

    def answer(self, host: str) -> tuple[int, str]:
        return ask(self.admin.gateway, host)

    def newest(self, environment: str) -> dict[str, Any]:
        """The deployment that came last."""
        return dict(self.admin.json("deployment", "list", "shop", "-e", environment)[0])

    def current(self, environment: str) -> dict[str, Any]:
        """The release that the environment has."""
        found = self.admin.json("releases", "shop", "-e", environment)
        return next(dict(one) for one in found if one["is_current"])

    def waits(self, environment: str, reason: str) -> int:
        """The number of the newest deployment, once it waits for that."""
        query = (
            "select id, state, reason from deployments where app = 'shop' and environment = ? order by id desc limit 1"
        )
        end = time.monotonic() + 120
        while True:
            found = self._rows(query, environment)
            if found and found[0][1] == "waiting" and found[0][2].startswith(reason):
                return int(found[0][0])
            assert time.monotonic() < end, found
            time.sleep(0.1)

    def journal(self, deployment: int) -> list[tuple[datetime, str, str]]:
        query = "select at, step, text from journal where subject = 'deployment' and subject_id = ? order by id"
        return [(datetime.fromisoformat(at), step, text) for at, step, text in self._rows(query, deployment)]

    def _rows(self, query: str, value: object) -> list[Any]:
        with closing(sqlite3.connect(self.admin.home / "pier.db", timeout=60)) as database:
            return database.execute(query, [value]).fetchall()


@pytest.fixture(scope="module")
def shop(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    repository = Repository(tmp_path_factory.mktemp("shop"), "site", "shop")
    repository.write("pier.yaml", FILE)
    for environment in ("dev", "staging", "production"):
        secret(pierhead, environment)
    return Shop(pierhead, pierhead.of("mia"), repository)


def secret(pierhead: Pierhead, environment: str) -> None:
    """A new version of it."""
    command = [str(PIER), "secret", "set", "shop", "card", "-e", environment]
    subprocess.run(command, input=b"4111 1111\n", env=pierhead.environment, check=True, capture_output=True)


def test_a_plan_ends_with_0_when_nothing_would_change_and_2_when_something_would(shop: Shop) -> None:
    def planned(*more: str) -> tuple[int, str]:
        told = shop.admin.pier("plan", str(shop.repository.folder), *more, check=False)
        return told.returncode, told.stdout + told.stderr

    code, said = planned()
    assert (code, "shop in dev, which has no release:" in said, "Steps:" in said) == (2, True, True)
    shop.released("one")
    assert planned() == (0, "shop in dev: nothing would change.\n")
    code, said = planned("--ref", "nowhere")
    assert (code, "nowhere" in said) == (4, True)
    shop.repository.write("pier.yaml", FILE.replace("replicas: 2", "replicas: many"))
    shop.repository.commit("Ask for many")
    code, said = planned("-e", "production")
    assert (code, "environments.production.replicas" in said) == (1, True)
    shop.repository.write("pier.yaml", FILE)
    shop.repository.commit("Ask for two")
    outside = subprocess.run(
        [str(PIER), "plan", str(shop.repository.folder)],
        env=shop.admin.environment | {"PIER_URL": "http://127.0.0.1:9", "PIER_TOKEN": "x"},
        capture_output=True,
        check=False,
    )
    assert outside.returncode == 7


def test_a_promotion_waits_until_another_person_approves_it_and_changes_nothing_before(shop: Shop) -> None:
    shop.admin.pier("environment", "set", "staging", "--approvals", "1", "--not-author")
    with shop.admin.begun("promote", "shop", "--from", "dev", "--to", "staging", "--yes") as promoting:
        number = shop.waits("staging", "waits for approval, 0 of 1 of others than admin (`pier deployment approve ")
        assert shop.answer(STAGING)[0] == 404
        assert (
            "promote waiting: waits for approval, 0 of 1 of others than admin" in shop.admin.pier("ps", "shop").stdout
        )
        own = shop.admin.pier("deployment", "approve", str(number), check=False)
        assert (own.returncode, "staging wants it approved by others" in own.stderr) == (3, True)
        idle = shop.mia.pier("deployment", "continue", str(number), check=False)
        assert (idle.returncode, "waits for approval" in idle.stderr) == (5, True)
        assert shop.mia.pier("deployment", "approve", str(number)).stdout == "Approved by mia.\n"
        assert promoting.wait(180) == 0
    assert shop.answer(STAGING) == (200, "one")
    assert shop.newest("staging")["approvals"] == ["mia"]
    assert "mia approves it." in [text for _, _, text in shop.journal(number)]
    shop.admin.pier("promote", "shop", "--from", "staging", "--to", "production", "--yes")
    assert shop.answer(PRODUCTION) == (200, "one")
    assert len({shop.current(environment)["image"] for environment in ("dev", "staging", "production")}) == 1


def test_what_is_superseded_or_cancelled_at_its_pause_leaves_what_ran_before(shop: Shop) -> None:
    shop.admin.pier("environment", "set", "staging", "--approvals", "0")
    before = shop.current("staging")["name"]
    shop.released("two")
    with Load(shop.admin.gateway, STAGING) as load:
        with shop.admin.begun("promote", "shop", "--from", "dev", "--to", "staging", "--yes") as promoting:
            shop.waits("staging", "60 % of requests, until a person continues")
            with shop.mia.begun("promote", "shop", "--from", "dev", "--to", "staging", "--yes") as newer:
                assert promoting.wait(180) == 6
                assert promoting.stderr
                number = shop.waits("staging", "60 % of requests, until a person continues")
                assert f"superseded: Deployment {number} of mia came after it." in promoting.stderr.read()
                shop.mia.pier("deployment", "cancel", str(number))
                assert newer.wait(180) == 6
                assert newer.stderr
                assert "cancelled: Cancelled by mia." in newer.stderr.read()
        until(lambda: {shop.answer(STAGING) for _ in range(20)} == {(200, "one")}, seconds=120)
    assert load.failures == []
    assert shop.current("staging")["name"] == before


def test_a_canary_pauses_for_minutes_and_for_a_person(shop: Shop) -> None:
    with Load(shop.admin.gateway, STAGING) as load:
        with shop.admin.begun("promote", "shop", "--from", "dev", "--to", "staging", "--yes") as promoting:
            number = shop.waits("staging", "60 % of requests, until a person continues")
            assert 0.3 < Counter(shop.answer(STAGING)[1] for _ in range(ASKED))["two"] / ASKED < 0.9
            assert shop.newest("staging")["share"] == 60
            shop.mia.pier("deployment", "continue", "--detach", str(number))
            shop.waits("staging", "80 % of requests for 3600 s")
            shop.mia.pier("deployment", "continue", str(number))
            assert promoting.wait(180) == 0
        assert shop.answer(STAGING) == (200, "two")
    assert load.failures == []
    lines = shop.journal(number)
    shared = {text.rpartition(": ")[2]: at for at, step, text in lines if step == "share"}
    assert [text.partition(" %")[0] for text in shared] == ["0", "0 to 30", "30 to 60", "60 to 80", "80 to 100"]
    first, second = list(shared.values())[1:3]
    assert (second - first).total_seconds() >= 2
    assert [text for _, step, text in lines if step == "continue"] == ["mia continues it."] * 2


def test_what_a_promotion_tells_is_what_differs_then_and_a_freeze_holds_until_it_is_overridden(shop: Shop) -> None:
    first = shop.current("production")
    shop.admin.pier(
        "environment", "set", "production", "--domain", "example", "--freeze", "2020-01-01/2120-01-01/audit"
    )
    secret(shop.admin, "production")
    shop.admin.pier("variable", "set", "shop", "SIZE=large", "-e", "production", "--later")
    staging = shop.current("staging")
    asked = shop.admin.pier("promote", "shop", "--from", "staging", "--to", "production", "--json", check=False)
    told = json.loads(asked.stdout)
    assert (asked.returncode, shop.current("production")) == (5, first)
    assert [(one["kind"], one["name"], one["before"], one["after"]) for one in told["differences"]] == [
        ("image", "", digest(first), digest(staging)),
        ("commit", "", first["commit"][:10], staging["commit"][:10]),
        ("route", "shop.example/", None, "shop.example/"),
        ("variable", "SIZE", "small", "large"),
        ("secret", "card", "version 1", "version 2"),
    ]
    assert [one.partition(" ")[2] for one in told["commits"]] == ["Say two", "Ask for two", "Ask for many"]
    assert told["steps"][0] == "pause the next release: production is frozen until 2120-01-01 00:00 UTC: audit"
    before = shown(shop, first["name"])
    with shop.admin.begun("promote", "shop", "--from", "staging", "--to", "production", "--yes") as promoting:
        number = shop.waits(
            "production", "production is frozen until 2120-01-01 00:00 UTC: audit (`pier deployment over"
        )
        assert shop.answer("shop.example")[0] == 404
        bare = shop.mia.pier("deployment", "override", str(number), "--reason", " ", check=False)
        assert (bare.returncode, "Say why the freeze shall not hold" in bare.stderr) == (2, True)
        shop.mia.pier("deployment", "override", str(number), "--reason", "a leak")
        shop.waits("production", "0 % of requests, until a person continues")
        assert (shop.answer(f"preview.{PRODUCTION}"), shop.answer(PRODUCTION)) == ((200, "two"), (200, "one"))
        shop.mia.pier("deployment", "continue", str(number))
        assert promoting.wait(180) == 0
    assert {shop.answer(PRODUCTION), shop.answer("shop.example")} == {(200, "two")}
    until(lambda: shop.answer(f"preview.{PRODUCTION}")[0] == 404, seconds=120)
    now = shop.current("production")
    assert (now["image"], shop.newest("production")["override"]) == (staging["image"], "mia: a leak")
    assert "mia lets it begin in a freeze: a leak" in [text for _, _, text in shop.journal(number)]
    after = shown(shop, now["name"])
    named = {f"{kind} {name}".strip() for kind, name in ((one["kind"], one["name"]) for one in told["differences"])}
    differs = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert differs - {"variable PIER_RELEASE", "variable GIT_REV"} == {
        one for one in named if not one.startswith(("route", "commit"))
    }


def test_a_barred_release_is_no_target_any_more(shop: Shop) -> None:
    shop.mia.pier("release", "bar", "shop", "v1", "--reason", "loses cards", "-e", "production")
    back = shop.mia.pier("rollback", "shop", "v1", "-e", "production", check=False)
    assert (back.returncode, "is barred: loses cards" in back.stderr) == (5, True)
    assert [one["barred"] for one in shop.mia.json("releases", "shop", "-e", "production")] == ["", "loses cards"]


def digest(release: Mapping[str, Any]) -> str:
    return str(release["image"].rpartition("@")[2])


def shown(shop: Shop, release: str) -> dict[str, str]:
    """What the engine runs in production as that release."""
    name = subprocess.run(
        ["docker", "service", "ls", "--format", "{{.Name}}", "--filter", "label=pier.environment=production"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    (one,) = [each for each in name if each.endswith(f"shop-production-{release}")]
    told = subprocess.run(["docker", "service", "inspect", one], check=True, capture_output=True, text=True).stdout
    spec = json.loads(told)[0]["Spec"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    env = dict(text.split("=", 1) for text in container["Env"])
    secrets = {f"secret {each['File']['Name']}": each["SecretName"] for each in container["Secrets"]}
    replicas = {"scale replicas": str(spec["Mode"]["Replicated"]["Replicas"])}
    image = {"image": container["Image"].rpartition("@")[2]}
    return image | {f"variable {key}": value for key, value in env.items()} | secrets | replicas
