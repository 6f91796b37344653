"""Each way to a new release, on a whole Pierhead under load: nothing is lost, and what is broken is taken back.

One app for each strategy; all of them move at the same time, as they do in a company.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pierhead.testing.load import Load, ask
from pierhead.testing.whole import Pierhead, Repository

pytestmark = pytest.mark.timeout(900)

STRATEGIES = {
    "rolling": "strategy: rolling",
    "one-at-a-time": "strategy: one-at-a-time",
    "blue-green": "strategy: blue-green, preview: 1s",
    "canary": "strategy: canary, stages: [{percent: 50, pause: 1s}]",
    "stop-first": "strategy: stop-first",
}
FILE = """\
app: {app}
ports: {{web: {{port: 8000}}}}
replicas: 2
command: [sh, /app/serve.sh]
health: {{http: /, interval: 1s}}
deploy: {{{strategy}, watch: 5s, deadline: 3m, drain: 5s, stop: 2s, gate: {{max_error_rate: 2%, min_requests: 30}}}}
"""
HOOKED = """\
app: hooked
ports: {web: {port: 8000}}
command: [sh, /app/serve.sh]
health: {http: /, interval: 1s}
deploy:
  deadline: 3m
  drain: 2s
  hooks: {pre_deploy: [sh, /app/hook.sh, pre], post_deploy: [sh, /app/hook.sh, post], limit: 20s}
"""
ROOMLESS = """\
app: roomless
ports: {web: {port: 8000}}
resources: {reserve: {memory: 900GiB}}
deploy: {deadline: 40s}
"""
HOOK = r"""
echo "$1 for $PIER_RELEASE"
case "$MODE" in
  $1-fails) echo "the table is missing"; exit 7 ;;
  $1-hangs) sleep 60 ;;
esac
"""
SERVE = r"""
mkdir -p /tmp/www
echo "$PIER_RELEASE" > /tmp/www/index.html
echo "instance of $PIER_RELEASE in mode ${MODE:-good}"
case "$MODE" in
  slow) sleep 10 ;;
  never) sleep 1; echo "the disk is missing"; exit 3 ;;
  crash) busybox httpd -f -p 8000 -h /tmp/www & served=$!; sleep 3; kill $served; exit 4 ;;
  errors)
    cat > /tmp/nginx.conf <<'END'
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d;
  scgi_temp_path /tmp/e;
  split_clients "$request_id" $is_bad { 5% 1; * 0; }
  server {
    listen 8000;
    root /tmp/www;
    if ($is_bad) { return 500; }
  }
}
END
    exec nginx -e /dev/stderr -c /tmp/nginx.conf ;;
esac
busybox httpd -f -p 8000 -h /tmp/www & served=$!
trap 'kill -9 $served; exit 0' TERM
wait $served
"""
"""Without a mode, and `slow`, it ends at once when it is told to stop, whoever still waits for an answer."""
DEADLINE, IN_A_ROW = 180, 20
BROKEN = ("never", "crash", "errors")


@dataclass
class Story:
    """What one app went through, and what whoever asked it was answered meanwhile."""

    codes: dict[str, int] = field(default_factory=dict)
    """Mode of the release → exit code of the command that released it."""
    said: dict[str, str] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    """The release that answers then."""
    receipts: dict[str, Any] = field(default_factory=dict)
    waited: dict[str, Any] = field(default_factory=dict)
    """What `pier ps` told of an app that nobody had room for."""


def live(pierhead: Pierhead, folder: Path, strategy: str) -> Story:
    app = f"by-{strategy}"
    repository = Repository(folder, "site", app)
    repository.write("serve.sh", SERVE)
    repository.write("pier.yaml", FILE.format(app=app, strategy=STRATEGIES[strategy]))
    return told(pierhead, repository, app, {**dict.fromkeys(BROKEN, "v1"), "slow": "v5"})


def live_hooked(pierhead: Pierhead, folder: Path) -> Story:
    repository = Repository(folder, "site", "hooked")
    repository.write("serve.sh", SERVE)
    repository.write("hook.sh", HOOK)
    repository.write("pier.yaml", HOOKED)
    expected = {"pre-fails": "v1", "pre-hangs": "v1", "post-fails": "v1", "good": "v5"}
    return told(pierhead, repository, "hooked", expected)


def live_roomless(pierhead: Pierhead, folder: Path) -> Story:
    repository, story = Repository(folder, "site", "roomless"), Story()
    repository.write("pier.yaml", ROOMLESS)
    repository.commit("Ask for too much")
    with pierhead.begun("deploy", str(folder)) as deploying:
        while deploying.poll() is None and "900 GiB" not in str(story.waited.get("environments")):
            story.waited = pierhead.json("ps")
        story.said["big"] = deploying.communicate()[1]
    story.codes["big"] = deploying.returncode
    return story


def told(pierhead: Pierhead, repository: Repository, app: str, expected: Mapping[str, str]) -> Story:
    """The app is deployed, and then released under load in one mode after the other: `expected` answers then."""
    story, host = Story(), f"{app}.dev.localhost"
    repository.commit("Serve")
    pierhead.pier("deploy", str(repository.folder))
    for mode, release in expected.items():
        with Load(pierhead.gateway, host, per_second=25) as load:
            ended = pierhead.pier("variable", "set", app, f"MODE={mode}", "-e", "dev", check=False)
            story.after[mode] = settled(pierhead, host, release)
        story.codes[mode], story.said[mode] = ended.returncode, ended.stdout + ended.stderr
        story.failures[mode], story.answers[mode] = load.failures, load.answers
        if mode in ("errors", "slow"):
            story.receipts[mode] = pierhead.json("receipt", app)
    return story


def settled(pierhead: Pierhead, host: str, release: str) -> str:
    """What answers once that release has answered twenty times in a row; until then a broken one may go on."""
    end, count, answer = time.monotonic() + DEADLINE, 0, ""
    while count < IN_A_ROW and time.monotonic() < end:
        code, text = ask(pierhead.gateway, host)
        answer = text.strip() if code == 200 else str(code)
        count = count + 1 if answer == release else 0
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def stories(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Story]:
    folders = {name: tmp_path_factory.mktemp(name) for name in (*STRATEGIES, "hooked", "roomless")}
    with ThreadPoolExecutor(len(folders)) as pool:
        lives = {name: pool.submit(live, pierhead, folders[name], name) for name in STRATEGIES}
        lives["hooked"] = pool.submit(live_hooked, pierhead, folders["hooked"])
        lives["roomless"] = pool.submit(live_roomless, pierhead, folders["roomless"])
        return {name: story.result() for name, story in lives.items()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_release_that_is_slow_to_start_takes_over_and_no_request_is_lost(
    stories: Mapping[str, Story], strategy: str
) -> None:
    story = stories[strategy]
    assert story.codes["slow"] == 0, story.said
    assert story.after["slow"] == "v5"
    assert story.answers["slow"].keys() == {"v1\n", "v5\n"}
    between = {text.partition(" ")[0] for text in story.failures["slow"]}
    assert between <= ({"503"} if strategy == "stop-first" else set()), story.failures["slow"]


@pytest.mark.parametrize("mode", BROKEN)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_broken_release_is_taken_back_by_itself(stories: Mapping[str, Story], strategy: str, mode: str) -> None:
    story = stories[strategy]
    assert story.codes[mode] == 6, story.said[mode]
    assert story.after[mode] == "v1"
    if mode == "never":
        between = {text.partition(" ")[0] for text in story.failures[mode]}
        assert between <= ({"503"} if strategy == "stop-first" else set()), story.failures[mode]


def test_the_reason_is_said(stories: Mapping[str, Story]) -> None:
    said = stories["rolling"].said
    assert "the disk is missing" in said["never"]
    assert "non-zero exit (4)" in said["crash"] or "requests failed, 2 % may" in said["crash"]
    assert "requests failed, 2 % may" in said["errors"]


def test_a_deployment_that_no_node_has_room_for_says_so_while_it_waits_and_when_it_fails(
    stories: Mapping[str, Story],
) -> None:
    story, lacks = stories["roomless"], "no node has 900 GiB free: "
    (moving,) = [one["moving"] for one in story.waited["environments"] if one["app"] == "roomless"]
    assert (moving["state"], f"0 of 1 ready, pending: {lacks}" in moving["reason"]) == ("waiting", True)
    waiting = [one["reason"] for one in story.waited["instances"] if one["state"] == "pending"]
    assert [one.startswith(lacks) for one in waiting] == [True]
    assert (story.codes["big"], f"not ready within 40 s: 0 of 1 ready, pending: {lacks}" in story.said["big"]) == (
        6,
        True,
    )


def test_hooks_run_once_in_the_image_and_what_they_wrote_is_shown(stories: Mapping[str, Story]) -> None:
    story = stories["hooked"]
    assert (story.codes["good"], story.after["good"]) == (0, "v5"), story.said
    assert [story.said["good"].count(f"{when} for v5") for when in ("pre", "post")] == [1, 1]
    assert story.failures["good"] == []


@pytest.mark.parametrize(
    ("mode", "release", "reason"),
    [
        ("pre-fails", "v2", "pre_deploy failed: task: non-zero exit (7)"),
        ("pre-hangs", "v3", "pre_deploy took longer than 20 s"),
        ("post-fails", "v4", "post_deploy failed: task: non-zero exit (7)"),
    ],
)
def test_a_hook_that_fails_stops_the_release(
    stories: Mapping[str, Story], mode: str, release: str, reason: str
) -> None:
    story, when = stories["hooked"], mode.partition("-")[0]
    assert (story.codes[mode], story.after[mode], story.failures[mode]) == (6, "v1", []), story.said[mode]
    assert reason in story.said[mode]
    assert story.said[mode].count(f"{when} for {release}") == 1
    assert ("the table is missing" in story.said[mode]) == mode.endswith("fails")
    if when == "pre":
        assert set(story.answers[mode]) == {"v1\n"}


def test_the_receipt_says_what_went_to_whom(stories: Mapping[str, Story]) -> None:
    receipt = stories["canary"].receipts["slow"]
    counts = {one["release"]: one for one in receipt["releases"]}
    assert counts.keys() == {"v1", "v5"}
    assert counts["v1"]["requests"] >= 20
    assert counts["v5"]["requests"] >= 30
    assert sum(one["errors"] + one["failures"] for one in counts.values()) == 0
    assert receipt["seconds"] > 5
    asked = stories["canary"].answers["slow"]
    for release in counts:  # the deployment began after the load, and ended before it
        assert counts[release]["requests"] <= asked[f"{release}\n"] + IN_A_ROW


def test_the_receipt_of_a_bad_release_has_its_errors(stories: Mapping[str, Story]) -> None:
    bad = {one["release"]: one for one in stories["canary"].receipts["errors"]["releases"]}["v4"]
    failed = bad["errors"] + bad["failures"]
    assert failed > 0
    assert bad["error_rate"] == pytest.approx(failed / bad["requests"], abs=1e-5)
    assert bad["error_rate"] > 0.02
    assert bad["response_ms"] > 0
