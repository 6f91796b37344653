"""`pier hook`: pushes that become builds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pierhead.cli import console, session
from pierhead.cli.apps import App
from pierhead.kit import errors

app = typer.Typer(help="Build what is pushed to a git server.", no_args_is_help=True)

_Branch = Annotated[list[str] | None, typer.Option("--branch", help="A branch and its environment: `main=dev`.")]
_Tag = Annotated[list[str] | None, typer.Option("--tag", help="Tags and their environment: `v*=staging`.")]
_Path = Annotated[list[str] | None, typer.Option("--path", help="Build only what touches it: `services/shop`.")]


@app.command("set")
@console.exits
async def set_(
    app: App,
    source: Annotated[str, typer.Option("--source", help="The git URL; left out: that of the last build.")] = "",
    branch: _Branch = None,
    tag: _Tag = None,
    path: _Path = None,
    as_json: console.Json = False,
) -> None:
    """Set which pushes are built and where they are released. The first time, the secret is shown, and only then."""
    rules = [_rule("branch", text) for text in branch or ()] + [_rule("tag", text) for text in tag or ()]
    async with session.connected() as api:
        hook = await api.put(f"/apps/{app}/hook", {"source": source, "rules": rules, "paths": path or []})
    if as_json:
        console.emit(hook, as_json)
        return
    _show(hook)
    if hook["secret"]:
        console.say("")
        console.say(f"Secret: {hook['secret']}")
        console.note(
            "Enter the URL and the secret at the git server now: the secret is not shown again.", style="yellow"
        )


@app.command()
@console.exits
async def show(app: App, as_json: console.Json = False) -> None:
    """Show the URL for the git server, the rules, and what the last deliveries led to. Never the secret."""
    async with session.connected() as api:
        hook = await api.get(f"/apps/{app}/hook")
    if as_json:
        console.emit(hook, as_json)
        return
    _show(hook)
    if not hook["deliveries"]:
        console.say("Nothing has been delivered yet.")
        return
    console.say("")
    console.table(
        ["RECEIVED", "FROM", "REF", "BUILD", "OUTCOME"],
        [[d["received_at"][:19], d["provider"], d["ref"], d["build_id"], d["outcome"]] for d in hook["deliveries"]],
    )


@app.command()
@console.exits
async def secret(app: App, as_json: console.Json = False) -> None:
    """Make a new secret and show it once. What is signed with the old one is refused from now on."""
    async with session.connected() as api:
        made = await api.post(f"/apps/{app}/hook/secret")
    console.emit(made if as_json else made["secret"], as_json)


@app.command()
@console.exits
async def remove(app: App, as_json: console.Json = False) -> None:
    """Build nothing by itself any more."""
    async with session.connected() as api:
        await api.delete(f"/apps/{app}/hook")
    console.emit({"removed": app} if as_json else f"Pushes to {app} are not built any more.", as_json)


def _rule(kind: str, text: str) -> dict[str, str]:
    pattern, _, environment = text.rpartition("=")
    if not pattern or not environment:
        raise errors.Invalid(f"--{kind} {text!r} names no environment.", hint=f"Write `--{kind} main=dev`.")
    return {"kind": kind, "pattern": pattern, "environment": environment}


def _show(hook: dict[str, Any]) -> None:
    rules = [f"{rule['kind']} {rule['pattern']} → {rule['environment']}" for rule in hook["rules"]]
    console.pairs(
        [
            ("URL", hook["url"]),
            ("Source", hook["source"]),
            *[("Rule" if not position else "", rule) for position, rule in enumerate(rules)],
            *[("Only below" if not position else "", path) for position, path in enumerate(hook["paths"])],
        ]
    )
