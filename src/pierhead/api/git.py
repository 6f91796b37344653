"""With what an app's repository is fetched. Private keys and passwords are never answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api.auth import Ctx
from pierhead.control import accesses
from pierhead.control.accesses import Shown
from pierhead.wire.git.access import Login

router = APIRouter(tags=["git"])


class KnownHosts(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(description="Lines as in `known_hosts`; empty: what the server's machine knows.")]


class LoginRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    host: Annotated[str, Field(description="The only host that is told the password.")]
    username: Annotated[str, Field(description="GitHub and GitLab take any name beside a token.")]
    password: Annotated[str, Field(description="A password or token; never shown again.")]


@router.get("/apps/{app}/git")
async def show_git_access(ctx: Ctx, app: str) -> Shown:
    return await accesses.show(ctx, app)


@router.post("/apps/{app}/git/key")
async def make_deploy_key(ctx: Ctx, app: str) -> Shown:
    """Makes a key for fetching by ssh. The public key is for the git server."""
    return await accesses.make_key(ctx, app)


@router.put("/apps/{app}/git/known-hosts")
async def set_known_hosts(ctx: Ctx, app: str, wanted: KnownHosts) -> Shown:
    """Sets which hosts are believed when the app is fetched by ssh."""
    return await accesses.set_known_hosts(ctx, app, wanted.text)


@router.put("/apps/{app}/git/login")
async def set_git_login(ctx: Ctx, app: str, wanted: LoginRequest) -> Shown:
    """Sets the name and password for fetching by HTTPS."""
    return await accesses.set_login(ctx, app, Login(wanted.host, wanted.username, wanted.password))


@router.delete("/apps/{app}/git", status_code=204)
async def remove_git_access(ctx: Ctx, app: str) -> None:
    """Forgets key, known hosts and login."""
    await accesses.remove(ctx, app)
