"""How a release comes about: image, spec, config and secrets put together, checked, and on their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import names, reference
from pierhead.model.app import Port, Protocol, Spec, host_name, service_name
from pierhead.model.reference import Address
from pierhead.model.release import Release
from pierhead.store import apps, config, deployments, environments, journal, ports, releases, secrets
from pierhead.store.deployments import Deployment, Move
from pierhead.store.journal import Subject
from pierhead.store.releases import Config, Image
from pierhead.store.session import Connection

_LONGEST_VARIABLE = 100 * 1000
"""Bytes: Linux gives a program no longer one (MAX_ARG_STRLEN)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to run in an environment, before it has a number."""

    environment: str
    spec: Spec
    image: Image
    kind: str = "deploy"
    author: str = ""
    """Empty: nobody is known."""

    @property
    def app(self) -> str:
        return self.spec.app


async def submit(ctx: Context, db: Connection, proposal: Proposal) -> Deployment:
    """A new release of it, and the deployment that brings it, in the transaction of `db`.

    Raises: Invalid (a secret has no value, a reference leads nowhere), Conflict (a name or a port is another app's).
    """
    await apps.ensure(db, proposal.app, proposal.environment)
    place = await apps.environment(db, proposal.app, proposal.environment)
    spec, held = await complete(ctx, db, proposal)
    release = await releases.add(db, proposal.environment, spec, proposal.image, held)
    move = Move(proposal.kind, place.release_id if place else None, release.id, proposal.author)
    deployment = await deployments.add(db, proposal.app, proposal.environment, move)
    text = f"Release {release.name} of {release.app} for {release.environment}: {release.commit[:10]} {release.subject}"
    await journal.add(db, Subject.DEPLOYMENT, deployment.id, "release", text)
    return deployment


async def complete(ctx: Context, db: Connection, proposal: Proposal) -> tuple[Spec, Config]:
    """The spec and config that a release made now would have. Raises: as `submit`."""
    holds = await environments.find(db, proposal.environment)
    proposal = replace(proposal, spec=holds.applied(proposal.spec))
    await _check_names(ctx, db, proposal)
    versions = await _versions(ctx, db, proposal)
    revision, variables = await config.effective(db, proposal.app, proposal.environment)
    _check_twice(proposal, variables)
    resolved = await _resolved(ctx, db, proposal, {**proposal.spec.env, **variables})
    routed = [await _with_service_port(db, proposal, port) for port in proposal.spec.ports]
    return replace(proposal.spec, ports=tuple(routed)), Config(versions, revision, resolved)


async def _check_names(ctx: Context, db: Connection, proposal: Proposal) -> None:
    """Nobody else has a name or an address of this spec: no request may ever reach the wrong app. Raises: Conflict."""
    mine = names.claimed(proposal.spec, proposal.environment, ctx.domains)
    for release in await releases.live(db):
        if (release.app, release.environment) == (proposal.app, proposal.environment):
            continue
        if taken := sorted(mine & names.claimed(release.spec, release.environment, ctx.domains)):
            raise errors.Conflict(
                f"{taken[0]} belongs to {release.app} in {release.environment}.",
                hint="Change ports.<name>.hosts or paths in pier.yaml, or the name of the app.",
            )


async def _versions(ctx: Context, db: Connection, proposal: Proposal) -> Mapping[str, int]:
    held = await secrets.newest(db, proposal.app, proposal.environment)
    wanted = proposal.spec.all_secrets
    missing = [name for name in wanted if name not in held]
    if missing:
        raise errors.Invalid(
            f"{proposal.app} needs secrets that {proposal.environment} does not have.",
            problems=[errors.Problem(f"secrets.{name}", "has no value") for name in missing],
            hint=f"`pier secret set {proposal.app} {missing[0]} --environment {proposal.environment}` sets one.",
        )
    for name in dict.fromkeys(proposal.spec.secret_env.values()):
        _check_variable(name, ctx.keys.open(held[name].ciphertext))
    return {name: held[name].version for name in wanted}


def _check_variable(name: str, value: bytes) -> None:
    """Raises: Invalid (no variable can have that value)."""
    if b"\0" in value or len(value) > _LONGEST_VARIABLE:
        raise errors.Invalid(
            f"The secret {name} cannot be a variable: it has a NUL character or more than {_LONGEST_VARIABLE} bytes.",
            hint="Name it in `secrets` instead of `secret_env`, and read the file /run/secrets/" + name + ".",
        )


def _check_twice(proposal: Proposal, variables: Mapping[str, str]) -> None:
    """Raises: Invalid (a variable is a secret by `pier.yaml`, and has another value by config)."""
    if twice := sorted(proposal.spec.secret_env.keys() & variables.keys()):
        raise errors.Invalid(
            f"Variables of {proposal.app} in {proposal.environment} have two values.",
            problems=[
                errors.Problem(f"variable {name}", f"is the secret {proposal.spec.secret_env[name]} by pier.yaml")
                for name in twice
            ],
            hint=f"`pier variable unset {proposal.app} {twice[0]}` leaves the secret.",
        )


async def _resolved(
    ctx: Context, db: Connection, proposal: Proposal, variables: Mapping[str, str]
) -> Mapping[str, str]:
    """The variables with their references to other services replaced. Raises: Invalid."""
    addresses = await _addresses(ctx, db, proposal.environment, reference.apps(variables.values()))
    found, problems = {}, []
    for name, value in variables.items():
        try:
            found[name] = reference.resolve(value, addresses)
        except ValueError as error:
            problems.append(errors.Problem(f"variable {name}", str(error)))
    if problems:
        raise errors.Invalid(
            f"Variables of {proposal.app} in {proposal.environment} refer to what is not there.",
            problems=problems,
            hint="`pier ps` lists the apps; `$${` stands for the text `${`.",
        )
    return found


async def _addresses(ctx: Context, db: Connection, environment: str, wanted: frozenset[str]) -> Mapping[str, Address]:
    """How the apps that exist are reached in the environment. A name holds before there is a release behind it."""
    live = {one.app: one for one in await releases.live(db) if one.environment == environment} if wanted else {}
    known = [app for app in wanted if await apps.find(db, app)]
    return {app: _address(ctx, environment, app, live.get(app)) for app in known}


def _address(ctx: Context, environment: str, app: str, release: Release | None) -> Address:
    gateway = ctx.settings.gateway
    first = release.spec.ports[0] if release and release.spec.ports else Port("", 0)
    name = service_name(app, environment, first, is_first=True)
    if first.protocol is Protocol.TCP and first.service_port:
        return Address(gateway.host, first.service_port, name)
    return Address(host_name(app, environment, ctx.settings.domain), gateway.http_port, name)


async def _with_service_port(db: Connection, proposal: Proposal, port: Port) -> Port:
    if port.protocol is not Protocol.TCP and port.service_port is None:
        return port
    number = await ports.reserve(db, proposal.app, proposal.environment, port.name, port.service_port)
    return replace(port, service_port=number)
