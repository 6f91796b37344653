"""Webhooks: set by people with a token, called by git servers that know a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api.auth import Ctx
from pierhead.control import hooks
from pierhead.control.context import Context
from pierhead.kit import clock
from pierhead.model.hook import Hook, RefKind, Rule
from pierhead.store.hooks import Delivery
from pierhead.wire.webhook.delivery import Delivery as Incoming

router = APIRouter(tags=["hooks"])
open_router = APIRouter(tags=["hooks"])
"""Needs no token: the signature says who asks."""


class RuleRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Annotated[Literal["branch", "tag"], Field(description="What is pushed.")] = "branch"
    pattern: Annotated[str, Field(description="Of its name: `main`, `release/*`, `v*`.")]
    environment: Annotated[str, Field(description="Where it is released.")]


class HookRequest(BaseModel):
    """Which pushes are built."""

    model_config = ConfigDict(extra="forbid")
    source: Annotated[str, Field(description="The git URL to build from; empty: that of the app's last build.")] = ""
    rules: Annotated[list[RuleRequest], Field(description="The first that matches holds; none: main → dev.")] = []
    paths: Annotated[list[str], Field(description="Only pushes that touch one of these are built.")] = []


@dataclass(frozen=True, slots=True)
class HookView:
    app: str
    url: str
    """What the git server calls."""
    source: str
    rules: Sequence[Rule]
    paths: Sequence[str]
    created_at: datetime
    deliveries: Sequence[Delivery] = ()
    """The last ones, the newest first."""
    secret: str = ""
    """Only in the answer that made it."""


@dataclass(frozen=True, slots=True)
class SecretView:
    secret: str
    """Shown this once."""


@dataclass(frozen=True, slots=True)
class BuildLink:
    id: int
    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    outcome: str
    """Why something is built, or why not."""
    build: BuildLink | None
    is_again: bool
    """The same delivery came before, and this is what it led to then."""


@router.put("/apps/{app}/hook")
async def put_hook(ctx: Ctx, app: str, wanted: HookRequest) -> HookView:
    """Sets which pushes are built. The first time the answer has the secret, which is not shown again."""
    rules = tuple(Rule(RefKind(rule.kind), rule.pattern, rule.environment) for rule in wanted.rules)
    hook, secret = await hooks.put(ctx, Hook(app, wanted.source, rules, tuple(wanted.paths), clock.now()))
    return _view(ctx, hook, secret=secret)


@router.get("/apps/{app}/hook")
async def show_hook(ctx: Ctx, app: str) -> HookView:
    """The address to enter at the git server, the rules, and what the last deliveries led to."""
    hook, deliveries = await hooks.find(ctx, app)
    return _view(ctx, hook, deliveries)


@router.post("/apps/{app}/hook/secret")
async def renew_hook_secret(ctx: Ctx, app: str) -> SecretView:
    """Makes a new secret; the old one is not taken any more."""
    return SecretView(await hooks.renew(ctx, app))


@router.delete("/apps/{app}/hook", status_code=204)
async def remove_hook(ctx: Ctx, app: str) -> None:
    await hooks.remove(ctx, app)


@open_router.post(
    "/hooks/{app}", status_code=202, responses={200: {"description": "Nothing is built for it; the body says why."}}
)
async def receive_push(ctx: Ctx, app: str, request: Request, response: Response) -> Outcome:
    """What a git server calls: GitHub, GitLab, Gitea, Forgejo, or whoever signs as the guide says."""
    delivery = Incoming(dict(request.headers), await _body(request))
    received = await hooks.receive(ctx, app, delivery)
    if received.build is None:
        response.status_code = 200
        return Outcome(received.outcome, None, received.is_again)
    url = f"{ctx.settings.public_url}/v1/builds/{received.build.id}"
    response.headers["Location"] = url
    return Outcome(received.outcome, BuildLink(received.build.id, url), received.is_again)


def _view(ctx: Context, hook: Hook, deliveries: Sequence[Delivery] = (), secret: str = "") -> HookView:
    return HookView(
        app=hook.app,
        url=f"{ctx.settings.public_url}/v1/hooks/{hook.app}",
        source=hook.source,
        rules=hook.rules,
        paths=hook.paths,
        created_at=hook.created_at,
        deliveries=deliveries,
        secret=secret,
    )


async def _body(request: Request) -> bytes:
    """Raises: HTTPException 413 (as soon as it is known to be too large)."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > hooks.LARGEST_BYTES:
        raise _too_large()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > hooks.LARGEST_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> HTTPException:
    return HTTPException(413, f"A webhook has at most {hooks.LARGEST_BYTES >> 20} MiB.")
