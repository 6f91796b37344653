"""The shapes that the API answers with. Times are RFC 3339; sizes in bytes; durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pierhead.control import apps, releases, secrets
from pierhead.model.receipt import Receipt
from pierhead.model.release import DeploymentState, Release
from pierhead.store.deployments import Deployment


@dataclass(frozen=True, slots=True)
class ReleaseView:
    name: str
    """`v3`"""
    app: str
    environment: str
    image: str
    commit: str
    subject: str
    created_at: datetime
    config: int
    """The revision of the config that it was released with."""
    secrets: Mapping[str, int]
    """Name → version."""
    barred: str
    """Why nobody may go to it again; empty: everybody may."""
    pruned_at: datetime | None
    """Since when its image is no longer kept, so that nobody can go to it again; null: it is kept."""
    is_current: bool


@dataclass(frozen=True, slots=True)
class DeploymentView:
    id: int
    app: str
    environment: str
    kind: str
    state: DeploymentState
    reason: str
    """What it waits for, or why it ended as it did."""
    author: str
    """Who asked for it, or pushed what it is of; empty: nobody is known."""
    share: int | None
    """Percent of the requests that the new release is given; null: each instance counts the same."""
    approvals: Sequence[str]
    """Who let it begin."""
    override: str
    """Who let it begin in a freeze, and why."""
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    app: str
    environment: str
    release: str | None
    commit: str
    subject: str
    replicas: int
    moving: DeploymentView | None
    urls: tuple[str, ...]
    is_in_maintenance: bool


@dataclass(frozen=True, slots=True)
class CountView:
    """What went to one release."""

    release: str
    requests: int
    errors: int
    """Answers of 500 and above."""
    failures: int
    """Requests that were never answered whole."""
    retries: int
    error_rate: float
    response_ms: float


@dataclass(frozen=True, slots=True)
class ReceiptView:
    deployment: DeploymentView
    seconds: float
    drained: int
    """Requests that old instances still had when they were no longer sent any, and finished."""
    releases: Sequence[CountView]


@dataclass(frozen=True, slots=True)
class SecretView:
    name: str
    version: int
    created_at: datetime


def release(value: Release, *, is_current: bool) -> ReleaseView:
    return ReleaseView(
        name=value.name,
        app=value.app,
        environment=value.environment,
        image=value.image,
        commit=value.commit,
        subject=value.subject,
        created_at=value.created_at,
        config=value.config,
        secrets=value.secrets,
        barred=value.barred,
        pruned_at=value.pruned_at,
        is_current=is_current,
    )


def listed(value: releases.Listed) -> ReleaseView:
    return release(value.release, is_current=value.is_current)


def deployment(value: Deployment) -> DeploymentView:
    return DeploymentView(
        id=value.id,
        app=value.app,
        environment=value.environment,
        kind=value.kind,
        state=value.state,
        reason=value.reason,
        author=value.author,
        share=value.share,
        approvals=value.approvals,
        override=value.override,
        created_at=value.created_at,
        ended_at=value.ended_at,
    )


def receipt(moved: Deployment, value: Receipt) -> ReceiptView:
    counts = [
        CountView(
            release=name,
            requests=one.requests,
            errors=one.errors,
            failures=one.failures,
            retries=one.retries,
            error_rate=round(one.error_rate, 6),
            response_ms=round(one.response_ms, 2),
        )
        for name, one in sorted(value.releases.items(), key=lambda item: int(item[0].removeprefix("v") or 0))
    ]
    return ReceiptView(deployment(moved), value.seconds, value.drained, counts)


def environment(value: apps.Place) -> EnvironmentView:
    return EnvironmentView(
        app=value.app,
        environment=value.environment,
        release=value.release.name if value.release else None,
        commit=value.release.commit if value.release else "",
        subject=value.release.subject if value.release else "",
        replicas=value.replicas,
        moving=deployment(value.moving) if value.moving else None,
        urls=value.urls,
        is_in_maintenance=value.is_in_maintenance,
    )


def secret(value: secrets.Listed) -> SecretView:
    return SecretView(value.name, value.version, value.created_at)
