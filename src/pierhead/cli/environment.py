"""`pier environment`: what holds in an environment, whatever runs there."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pierhead.cli import console, session
from pierhead.kit import errors

app = typer.Typer(help="Make, change, list and remove environments.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The environment's name.")]
Domain = Annotated[str | None, typer.Option("--domain", help="Apps are found as APP.DOMAIN too.")]
Replicas = Annotated[int | None, typer.Option("--replicas", help="Instances of every app; -1: what pier.yaml says.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="KEY=VALUE that nodes must have; KEY= removes it.")]
Approvals = Annotated[int | None, typer.Option("--approvals", help="So many people must let a deployment begin.")]
NotAuthor = Annotated[
    bool | None,
    typer.Option("--not-author/--author-too", help="Who asked for a deployment, or pushed it, may not approve it."),
]
Freezes = Annotated[
    list[str] | None,
    typer.Option(
        "--freeze",
        help="BEGIN/END[/REASON] in UTC, when nothing is deployed: `2026-12-20T00:00/2027-01-02T00:00/holidays`, "
        "`Fri 16:00/Mon 08:00`. Replaces those there are; `none` removes them.",
    ),
]


@app.command("list")
@console.exits
async def list_(as_json: console.Json = False) -> None:
    """List the environments and what holds in each."""
    async with session.connected() as api:
        found = await api.get("/environment-settings")
    if as_json:
        console.emit(found, as_json)
        return
    columns = ["ENVIRONMENT", "DOMAIN", "REPLICAS", "NODES", "APPROVALS", "FROZEN"]
    console.table(columns, [_row(one) for one in found])


def _keeps(verb: str, help_: str) -> None:
    """`pier environment VERB NAME` with an option for all that can hold."""

    @app.command(verb, help=help_)
    @console.exits
    async def keep(
        name: Name,
        domain: Domain = None,
        replicas: Replicas = None,
        label: Labels = None,
        approvals: Approvals = None,
        not_author: NotAuthor = None,
        freeze: Freezes = None,
        as_json: console.Json = False,
    ) -> None:
        said = {"domain": domain, "replicas": replicas, "approvals": approvals, "not_author": not_author}
        async with session.connected() as api:
            if verb == "create":
                made = await api.post(f"/environment-settings/{name}", _changed({}, said, label, freeze))
                text = f"There is an environment {name}: `pier deploy --environment {name}`."
            else:
                known = {one["name"]: one for one in await api.get("/environment-settings")}
                if name not in known:
                    raise errors.NotFound(
                        f"There is no environment {name!r}.", hint="`pier environment create` makes one."
                    )
                made = await api.put(f"/environment-settings/{name}", _changed(known[name], said, label, freeze))
                text = f"{name} is changed."
        console.emit(made if as_json else text, as_json)


_keeps("create", "Make an environment that apps can be deployed to.")
_keeps("set", "Change what holds in an environment; what is not named stays.")


@app.command()
@console.exits
async def remove(name: Name, as_json: console.Json = False) -> None:
    """Remove an environment in which nothing is released."""
    async with session.connected() as api:
        await api.delete(f"/environment-settings/{name}")
    console.emit({"removed": name} if as_json else f"{name} is removed.", as_json)


_NOTHING = {"domain": "", "replicas": None, "approvals": 0, "not_author": False}


def _changed(
    known: dict[str, Any], said: dict[str, Any], labels: list[str] | None, freezes: list[str] | None
) -> dict[str, Any]:
    """What is known, with what was said. Raises: Invalid."""
    held = {**known.get("labels", {}), **dict(map(label, labels or ()))}
    before = {name: known.get(name, value) for name, value in _NOTHING.items()}
    now = before | {name: value for name, value in said.items() if value is not None}
    return now | {
        "replicas": None if (now["replicas"] or 0) < 0 else now["replicas"],
        "labels": {key: value for key, value in held.items() if value},
        "freezes": known.get("freezes", []) if freezes is None else [_freeze(one) for one in freezes if one != "none"],
    }


def label(text: str) -> tuple[str, str]:
    """`disk=ssd`. Raises: Invalid."""
    key, equals, value = text.partition("=")
    if not equals:
        raise errors.Invalid(f"The label {text}: write it as KEY=VALUE.", hint=f"{text}= removes it.")
    return key, value


def _freeze(text: str) -> dict[str, str]:
    begin, _, rest = text.partition("/")
    end, _, reason = rest.partition("/")
    if not end:
        raise errors.Invalid(f"--freeze {text}: write it as BEGIN/END or BEGIN/END/REASON.")
    return {"begin": begin, "end": end, "reason": reason}


def _row(one: dict[str, Any]) -> list[Any]:
    frozen = ", ".join(f"{each['begin']} to {each['end']} {each['reason']}".strip() for each in one["freezes"])
    labels = ", ".join(f"{key}={value}" for key, value in one["labels"].items())
    replicas = "" if one["replicas"] is None else one["replicas"]
    approvals = f"{one['approvals'] or ''}{', not the author' if one['not_author'] and one['approvals'] else ''}"
    return [one["name"], one["domain"], replicas, labels, approvals, frozen]
