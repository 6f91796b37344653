"""Releases and deployments: what runs in an environment, and the move from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pierhead.model.app import Spec


class DeploymentState(StrEnum):
    WAITING = "waiting"
    """For what its reason says."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It could not be finished; what ran before runs again."""
    SUPERSEDED = "superseded"
    """A newer deployment of the same environment took over."""
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (DeploymentState.WAITING, DeploymentState.RUNNING)


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of how it is started. Source: OCI image specification, config."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """Behind the entrypoint; what a spec's `command` replaces."""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """App + environment + image digest + config revision + spec, numbered v1, v2, … and never changed."""

    id: int
    app: str
    environment: str
    number: int
    image: str
    """`host:port/name@sha256:…`: always by digest."""
    commit: str
    subject: str
    """The first line of the commit's message."""
    spec: Spec
    secrets: Mapping[str, int]
    """The version of each secret that it was released with."""
    created_at: datetime
    config: int = 0
    """The revision of the config that it was released with; 0: there was none yet."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its instances find in their environment by `pier.yaml` and config, references resolved."""
    file: str = ""
    """The `pier.yaml` of its commit, from which promotion reads what holds in another environment."""
    barred: str = ""
    """Why nobody may go to it again; empty: everybody may."""
    pruned_at: datetime | None = None
    """Since when its image is no longer kept; None: it is."""
    image_config: ImageConfig | None = None
    """None: made before Pierhead kept it; its instances are not told where they are reached."""

    @property
    def name(self) -> str:
        return f"v{self.number}"


def engine_name(cluster: str, app: str, environment: str, number: int) -> str:
    """The engine service that a release runs as: `notes-dev-v3`."""
    return in_cluster(cluster, f"{app}-{environment}-v{number}")


def in_cluster(cluster: str, name: str) -> str:
    """The name of an engine service: another cluster than `pier` goes in front."""
    return name if cluster == "pier" else f"{cluster}-{name}"
