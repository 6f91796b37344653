"""A push becomes a release: a signed request, a build, an app that answers; and only once."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

from pierhead.kit import clock
from pierhead.testing.load import ask
from pierhead.testing.waiting import until
from pierhead.testing.whole import Pierhead, Repository
from pierhead.wire.webhook import signature


def deliver(url: str, secret: str, commit: str) -> dict[str, object]:
    body = json.dumps({"ref": "refs/heads/main", "commit": commit, "who": "ada"}).encode()
    headers = signature.plain(secret, clock.now(), body)
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the test's own Pierhead
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 202
        return dict(json.load(answer))


def test_what_is_pushed_is_released(pierhead: Pierhead, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "pushed", "site", "pushed")
    repository.write("index.html", "pushed")
    repository.commit("Say pushed")
    hook = pierhead.json("hook", "set", "pushed", "--source", str(repository.folder), "--branch", "main=dev")
    head = subprocess.run(
        ["git", "-C", repository.folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    told = deliver(hook["url"], hook["secret"], head.stdout.strip())
    build = told["build"]
    assert isinstance(build, dict)
    followed = pierhead.pier("builds", str(build["id"]))
    assert "branch main goes to dev, pushed by ada" in followed.stderr
    made = pierhead.json("builds", str(build["id"]))
    assert (made["state"], made["commit"]) == ("succeeded", head.stdout.strip())
    assert made["deployment"]
    assert "branch main goes to dev" in pierhead.pier("hook", "show", "pushed").stdout
    until(lambda: ask(pierhead.gateway, "pushed.dev.localhost") == (200, "pushed"), seconds=120)
