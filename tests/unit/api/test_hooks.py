"""Webhooks from outside: what a git server is answered, and that a delivery counts once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from pierhead.api import app
from pierhead.control import builds, hooks
from pierhead.control.context import Context
from pierhead.kit import clock
from pierhead.release import simulate
from pierhead.store import tokens
from pierhead.wire.webhook import signature

SOURCE = "https://git.example/shop.git"
RULES = [{"pattern": "main", "environment": "dev"}, {"kind": "tag", "pattern": "v*", "environment": "staging"}]


@pytest_asyncio.fixture
async def api(ctx: Context) -> AsyncIterator[httpx.AsyncClient]:
    async with ctx.store.write() as db:
        await tokens.ensure(db, "admin", "a-token")
    transport = httpx.ASGITransport(app=app.create(ctx, dict, simulate.steps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pier/v1") as client:
        yield client


@pytest_asyncio.fixture
async def secret(api: httpx.AsyncClient) -> str:
    wanted = {"source": SOURCE, "rules": RULES, "paths": ["shop"]}
    answer = await api.put("/apps/shop/hook", json=wanted, headers={"Authorization": "Bearer a-token"})
    return str(answer.json()["secret"])


def push(commit: str = "a" * 40, ref: str = "refs/heads/main", message: str = "m", path: str = "shop/x") -> bytes:
    changed = {"added": [path], "modified": [], "removed": []}
    head = {"id": commit, "message": message, **changed}
    value = {"ref": ref, "after": commit, "commits": [head], "head_commit": head, "pusher": {"name": "ada"}}
    return json.dumps(value).encode()


async def delivered(api: httpx.AsyncClient, secret: str, data: bytes, event: str = "push") -> httpx.Response:
    signed = f"sha256={hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()}"
    headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": signed, "Content-Type": "application/json"}
    return await api.post("/hooks/shop", content=data, headers=headers)


async def test_a_push_is_answered_with_its_build(ctx: Context, api: httpx.AsyncClient, secret: str) -> None:
    answer = await delivered(api, secret, push())
    assert answer.status_code == 202
    build = answer.json()["build"]
    assert answer.headers["Location"] == build["url"] == f"http://127.0.0.1:4400/v1/builds/{build['id']}"
    made = await builds.find(ctx, build["id"])
    assert (made.app, made.environment, made.source, made.ref) == ("shop", "dev", SOURCE, "a" * 40)
    assert await ctx.build_wanted.wait(signature.FRESH)
    tag = await delivered(api, secret, push("b" * 40, "refs/tags/v1"))
    assert (await builds.find(ctx, tag.json()["build"]["id"])).environment == "staging"


async def test_a_delivery_that_comes_again_is_the_same_build(ctx: Context, api: httpx.AsyncClient, secret: str) -> None:
    first, again = [(await delivered(api, secret, push())).json() for _ in range(2)]
    assert (first["build"], first["is_again"], again["is_again"]) == (again["build"], False, True)
    assert len(await builds.listing(ctx, "shop")) == 1
    plain = json.dumps({"ref": "refs/heads/main", "commit": "c" * 40}).encode()
    headers = signature.plain(secret, clock.now(), plain)
    answers = [(await api.post("/hooks/shop", content=plain, headers=headers)).json() for _ in range(2)]
    assert answers[0]["build"] == answers[1]["build"]
    assert len(await builds.listing(ctx, "shop")) == 2


NOT_BUILT = (
    (push(ref="refs/heads/other"), "push", "No rule of shop is for the branch other."),
    (push("0" * 40), "push", "The branch main was removed."),
    (push(message="x [skip ci]"), "push", "The commit's message says [skip ci]."),
    (push(path="docs/x"), "push", "Nothing below shop was changed."),
    (b"{}", "ping", "The webhook works."),
    (b"{}", "issues", "issues is not a push: nothing is built for it."),
)


async def test_what_is_not_built_says_why(ctx: Context, api: httpx.AsyncClient, secret: str) -> None:
    for data, event, outcome in NOT_BUILT:
        answer = await delivered(api, secret, data, event)
        assert (answer.status_code, answer.json()) == (200, {"outcome": outcome, "build": None, "is_again": False})
    assert await builds.listing(ctx, "shop") == []


async def test_strangers_and_giants_are_refused(ctx: Context, api: httpx.AsyncClient, secret: str) -> None:
    assert (await delivered(api, "wrong", push())).status_code == 403
    assert (await api.post("/hooks/shop", content=push())).status_code == 400
    assert (await api.post("/hooks/nobody", content=push())).status_code == 404
    assert (await delivered(api, secret, b"[" * 100_000)).status_code == 400
    largest = push() + b" " * (hooks.LARGEST_BYTES - len(push()))
    assert (await delivered(api, secret, largest)).status_code == 202

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    for content in (largest + b" ", endless()):
        answer = await api.post("/hooks/shop", content=content)
        assert (answer.status_code, answer.json()["error"]["message"]) == (413, "A webhook has at most 25 MiB.")
    assert len(await builds.listing(ctx, "shop")) == 1


async def test_the_secret_is_shown_once_and_can_be_replaced(api: httpx.AsyncClient, secret: str) -> None:
    api.headers["Authorization"] = "Bearer a-token"
    await delivered(api, secret, push())
    shown = await api.get("/apps/shop/hook")
    assert secret not in shown.text
    assert (shown.json()["url"], shown.json()["secret"]) == ("http://127.0.0.1:4400/v1/hooks/shop", "")
    assert shown.json()["deliveries"][0]["outcome"] == "branch main goes to dev"
    changed = await api.put("/apps/shop/hook", json={"source": SOURCE})
    assert changed.json()["secret"] == ""
    assert changed.json()["rules"] == [{"kind": "branch", "pattern": "main", "environment": "dev"}]
    renewed = (await api.post("/apps/shop/hook/secret")).json()["secret"]
    assert (await delivered(api, secret, push("d" * 40))).status_code == 403
    assert (await delivered(api, renewed, push("d" * 40))).status_code == 202
    assert (await api.delete("/apps/shop/hook")).status_code == 204
    assert (await delivered(api, renewed, push("e" * 40))).status_code == 404


async def test_bad_rules_change_nothing(api: httpx.AsyncClient) -> None:
    api.headers["Authorization"] = "Bearer a-token"
    wanted = {"rules": [{"pattern": "[b-a]", "environment": "Dev"}], "paths": ["/"]}
    answer = await api.put("/apps/shop/hook", json=wanted)
    places = [problem["place"] for problem in answer.json()["error"]["problems"]]
    assert (answer.status_code, places) == (400, ["source", "rules.0.environment", "rules.0.pattern", "paths.0"])
    assert (await api.get("/apps/shop/hook")).status_code == 404
