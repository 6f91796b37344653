"""Releases: written once; what may become of them later is whether one may go back to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.app import Spec
from pierhead.model.release import ImageConfig, Release
from pierhead.store import apps, tables

_releases = tables.releases
_SPEC = TypeAdapter(Spec)
_IMAGE_CONFIG = TypeAdapter(ImageConfig | None)


@dataclass(frozen=True, slots=True)
class Image:
    """What a build made, and of what."""

    reference: str
    commit: str
    subject: str
    file: str = ""
    """The `pier.yaml` of the commit."""
    image_config: ImageConfig | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What a release is delivered besides its image."""

    secrets: Mapping[str, int]
    """Name → version."""
    revision: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)


async def add(db: AsyncConnection, environment: str, spec: Spec, image: Image, config: Config) -> Release:
    """The next release of the spec's app in `environment`."""
    values = {
        "app": spec.app,
        "environment": environment,
        "number": await apps.next_number(db, spec.app, environment),
        "image": image.reference,
        "commit": image.commit,
        "subject": image.subject,
        "spec": _SPEC.dump_python(spec, mode="json"),
        "file": image.file,
        "secrets": dict(config.secrets),
        "config": config.revision,
        "variables": dict(config.variables),
        "image_config": _IMAGE_CONFIG.dump_python(image.image_config, mode="json"),
        "created_at": clock.now(),
    }
    return _release((await db.execute(sa.insert(_releases).values(**values).returning(_releases))).one())


async def find(db: AsyncConnection, release_id: int | None) -> Release | None:
    row = (await db.execute(sa.select(_releases).where(_releases.c.id == release_id))).first()
    return _release(row) if row else None


async def numbered(db: AsyncConnection, app: str, environment: str, number: int) -> Release | None:
    query = _of(app, environment).where(_releases.c.number == number)
    row = (await db.execute(query)).first()
    return _release(row) if row else None


async def listing(db: AsyncConnection, app: str, environment: str = "", limit: int = 1000) -> Sequence[Release]:
    """The newest first."""
    query = _of(app, environment).order_by(_releases.c.id.desc()).limit(limit)
    return [_release(row) for row in await db.execute(query)]


async def live(db: AsyncConnection) -> Sequence[Release]:
    """The releases that environments have, and those that they are on their way to."""
    held = sa.select(tables.environments.c.release_id).where(tables.environments.c.release_id.is_not(None))
    coming = sa.select(tables.deployments.c.to_release_id).where(tables.deployments.c.ended_at.is_(None))
    query = sa.select(_releases).where(sa.or_(_releases.c.id.in_(held), _releases.c.id.in_(coming)))
    return [_release(row) for row in await db.execute(query)]


async def bar(db: AsyncConnection, release_id: int, reason: str) -> None:
    """Nobody may go to it again, for that reason; empty: everybody may."""
    await db.execute(sa.update(_releases).where(_releases.c.id == release_id).values(barred=reason))


async def pruned(db: AsyncConnection, app: str, digests: Iterable[str]) -> None:
    """The app's releases with these images can no longer be gone back to."""
    held = sa.or_(sa.false(), *(_releases.c.image.endswith(f"@{digest}") for digest in digests))
    query = sa.update(_releases).where(_releases.c.app == app, _releases.c.pruned_at.is_(None), held)
    await db.execute(query.values(pruned_at=clock.now()))


async def kept(db: AsyncConnection, app: str, image: str) -> None:
    """The registry has that image, also when it was pruned before."""
    query = sa.update(_releases).where(_releases.c.app == app, _releases.c.image == image)
    await db.execute(query.values(pruned_at=None))


def _of(app: str, environment: str) -> sa.Select[Any]:
    query = sa.select(_releases).where(_releases.c.app == app)
    return query.where(_releases.c.environment == environment) if environment else query


def _release(row: Any) -> Release:
    return Release(
        id=row.id,
        app=row.app,
        environment=row.environment,
        number=row.number,
        image=row.image,
        commit=row.commit,
        subject=row.subject,
        spec=_SPEC.validate_python(row.spec),
        image_config=_IMAGE_CONFIG.validate_python(row.image_config),
        secrets=row.secrets,
        created_at=row.created_at,
        config=row.config,
        variables=row.variables,
        file=row.file,
        barred=row.barred,
        pruned_at=row.pruned_at,
    )
