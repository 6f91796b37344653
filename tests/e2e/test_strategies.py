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
deploy: {{{strategy}, watch: 8s, deadline: 2m, drain: 5s, stop: 2s, gate: {{max_error_rate: 2%, min_requests: 30}}}}
"""
SERVE = r"""
mkdir -p /tmp/www
echo "$PIER_RELEASE" > /tmp/www/index.html
echo "instance of $PIER_RELEASE in mode ${MODE:-good}"
case "$MODE" in
  slow) sleep 10 ;;
  never) sleep 1; echo "the disk is missing"; exit 3 ;;
  crash) busybox httpd -f -p 8000 -h /tmp/www & served=$!; sleep 6; kill $served; exit 4 ;;
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
exec busybox httpd -f -p 8000 -h /tmp/www
"""
"""Without a mode it ends at once when it is told to stop."""
GOOD, DEADLINE, IN_A_ROW = "v2", 120, 20


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
    receipt: Any = None


def live(pierhead: Pierhead, folder: Path, strategy: str) -> Story:
    app, story = f"by-{strategy}", Story()
    host = f"{app}.dev.localhost"
    repository = Repository(folder, "site", app)
    repository.write("serve.sh", SERVE)
    repository.write("pier.yaml", FILE.format(app=app, strategy=STRATEGIES[strategy]))
    repository.commit("Serve")
    pierhead.pier("deploy", str(folder))
    for mode in ("slow", "never", "crash", "errors"):
        with Load(pierhead.gateway, host, per_second=40) as load:
            ended = pierhead.pier("variable", "set", app, f"MODE={mode}", "-e", "dev", check=False)
            if mode == "slow":
                story.receipt = pierhead.json("receipt", app)
        story.codes[mode], story.said[mode] = ended.returncode, ended.stdout + ended.stderr
        story.failures[mode], story.answers[mode] = load.failures, load.answers
        story.after[mode] = settled(pierhead, host)
    return story


def settled(pierhead: Pierhead, host: str) -> str:
    """What answers once the release that was not broken has answered twenty times in a row; it needs ten seconds to
    start, and until then the broken one goes on where there is no other."""
    end, count, answer = time.monotonic() + DEADLINE, 0, ""
    while count < IN_A_ROW and time.monotonic() < end:
        code, text = ask(pierhead.gateway, host)
        answer = text.strip() if code == 200 else str(code)
        count = count + 1 if answer == GOOD else 0
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def stories(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Story]:
    folders = {strategy: tmp_path_factory.mktemp(strategy) for strategy in STRATEGIES}
    with ThreadPoolExecutor(len(STRATEGIES)) as pool:
        told = {name: pool.submit(live, pierhead, folder, name) for name, folder in folders.items()}
        return {name: story.result() for name, story in told.items()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_release_takes_over_and_no_request_is_lost(stories: Mapping[str, Story], strategy: str) -> None:
    story = stories[strategy]
    assert story.codes["slow"] == 0, story.said
    assert story.after["slow"] == GOOD
    if strategy != "stop-first":
        assert story.failures["slow"] == []


@pytest.mark.parametrize("mode", ["never", "crash", "errors"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_broken_release_is_taken_back_by_itself(stories: Mapping[str, Story], strategy: str, mode: str) -> None:
    story = stories[strategy]
    assert story.codes[mode] == 6, story.said[mode]
    assert story.after[mode] == GOOD
    if mode == "never" and strategy != "stop-first":
        assert story.failures[mode] == []


def test_the_reason_is_said(stories: Mapping[str, Story]) -> None:
    said = stories["rolling"].said
    assert "the disk is missing" in said["never"]
    assert "non-zero exit (4)" in said["crash"] or "requests failed, 2 % may" in said["crash"]
    assert "requests failed, 2 % may" in said["errors"]


def test_the_receipt_says_what_went_to_whom(stories: Mapping[str, Story]) -> None:
    receipt = stories["canary"].receipt
    counts = {one["release"]: one for one in receipt["releases"]}
    assert counts.keys() == {"v1", "v2"}
    assert counts["v1"]["requests"] >= 20
    assert counts["v2"]["requests"] >= 30
    assert sum(one["errors"] + one["failures"] for one in counts.values()) == 0
    assert receipt["seconds"] > 5
