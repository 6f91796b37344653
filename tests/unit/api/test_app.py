"""The API from outside: who may call, what refusals look like, and that journals can be followed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from pierhead.api import app
from pierhead.control import builds
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.release import simulate
from pierhead.store import tokens

TOKEN = "a-token"


@pytest_asyncio.fixture
async def api(ctx: Context) -> AsyncIterator[httpx.AsyncClient]:
    async with ctx.store.write() as db:
        await tokens.ensure(db, "admin", TOKEN)
    application = app.create(ctx, lambda: {"parts": []}, simulate.steps)
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://pier/v1", headers=headers) as client:
        yield client


async def test_every_call_needs_a_token_but_the_version_the_schema_and_webhooks(api: httpx.AsyncClient) -> None:
    spec = (await api.get("/openapi.json")).json()
    for path, methods in spec["paths"].items():
        for method in methods:
            answer = await api.request(
                method, path.removeprefix("/v1").replace("{", "").replace("}", ""), headers={"Authorization": ""}
            )
            statuses = {"/v1/version": 200, "/v1/pier.schema.json": 200, "/v1/hooks/{app}": 404}
            assert answer.status_code == statuses.get(path, 401), path


async def test_a_wrong_token_is_told_where_to_find_the_right_one(api: httpx.AsyncClient) -> None:
    answer = await api.get("/environments", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert "`token` of the data folder" in answer.json()["error"]["message"]


async def test_refusals_have_one_shape_and_a_status_by_kind(api: httpx.AsyncClient) -> None:
    unknown = await api.get("/builds/7")
    assert unknown.status_code == 404
    assert unknown.json() == {
        "error": {
            "kind": "NotFound",
            "message": "There is no build 7.",
            "hint": "`pier builds` lists them.",
            "problems": [],
        }
    }
    invalid = await api.post("/apps/notes/builds", json={"source": "", "branch": "main"})
    assert invalid.status_code == 400
    assert {problem["place"] for problem in invalid.json()["error"]["problems"]} == {"body.source", "body.branch"}
    assert (await api.get("/nothing")).json()["error"]["kind"] == "NotFound"


async def test_a_bundle_is_uploaded_and_named_by_a_build(api: httpx.AsyncClient, ctx: Context) -> None:
    source = (await api.post("/apps/notes/uploads", content=b"bundle")).json()["source"]
    assert builds.bundle(ctx, source).read_bytes() == b"bundle"
    queued = await api.post("/apps/notes/builds", json={"source": source, "ref": "main", "environment": "dev"})
    assert (queued.status_code, queued.json()["state"]) == (202, "queued")
    missing = await api.post("/apps/notes/builds", json={"source": "upload:../../etc/passwd"})
    assert missing.status_code == 404


async def test_a_journal_ends_with_its_subject(api: httpx.AsyncClient, ctx: Context) -> None:
    build = await builds.request(ctx, "notes", "dev", "https://git.example", "main")
    await builds.note(ctx, build.id, "fetch", "Fetched.")
    await builds.failed(ctx, build.id, errors.Failed("No."))
    events = (await api.get(f"/builds/{build.id}/journal")).text.strip().split("\n\n")
    assert [json.loads(event.split("data: ")[1]).get("text") for event in events] == ["Fetched.", "No.", None]
    assert events[-1].startswith("event: end")
    again = (await api.get(f"/builds/{build.id}/journal", headers={"Last-Event-ID": "1"})).text
    assert "Fetched." not in again


async def test_a_secret_is_never_shown(api: httpx.AsyncClient) -> None:
    path = "/apps/notes/environments/dev/secrets"
    put = await api.put(f"{path}/KEY", json={"value_base64": "aHVzaA=="})
    listed = await api.get(path)
    assert [one["version"] for one in listed.json()] == [1]
    assert "hush" not in put.text + listed.text
    assert "aHVzaA" not in put.text + listed.text


async def test_a_pier_yaml_is_read_before_anything_else_is_sent(api: httpx.AsyncClient) -> None:
    told = await api.post("/uploads/preview", params={"environment": "dev"}, content=b"app: notes\n")
    assert (told.status_code, told.json()) == (200, {"app": "notes", "commits": []})
    wrong = await api.post("/uploads/preview", params={"environment": "dev"}, content=b"app: notes\nreplica: 2\n")
    assert wrong.status_code == 400
    assert [one["place"] for one in wrong.json()["error"]["problems"]] == ["pier.yaml:2 replica"]
