"""Which images nobody can go back to any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pierhead.kit import units

CACHE = "cache/layers"
"""The repository of layers that took work to make."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An image as the registry has it."""

    repository: str
    digest: str
    tags: Sequence[str]
    blobs: Mapping[str, int]
    """Of its layers and its config: digest → bytes."""


@dataclass(frozen=True, slots=True)
class Removal:
    image: Kept
    reason: str
    size: int
    """Bytes that nothing else needs."""

    def __str__(self) -> str:
        tags = f" ({', '.join(tag[:12] for tag in self.image.tags)})" if self.image.tags else ""
        name = f"{self.image.repository}@{self.image.digest.removeprefix('sha256:')[:12]}{tags}"
        return f"remove {name}: {self.reason}, {units.size_text(self.size)}"


@dataclass(frozen=True, slots=True)
class Plan:
    removals: Sequence[Removal]
    kept: int
    """Images that stay."""

    @property
    def size(self) -> int:
        return sum(removal.size for removal in self.removals)


def plan(images: Sequence[Kept], needed: Mapping[str, Iterable[str]], apps: Iterable[str]) -> Plan:
    """What can go. `needed`: app → the digests that releases and recent builds have. Base images always stay.

    An image of a repository that is neither an app's nor the cache is nobody's business here.
    """
    wanted = {(app, digest) for app, digests in needed.items() for digest in digests}
    known = set(apps)
    stays = [image for image in images if image.repository != CACHE and not _is_spare(image, wanted, known)]
    blobs = {blob for image in stays for blob in image.blobs}
    removals, found = [], [image for image in images if image.repository in known or image.repository == CACHE]
    for image in sorted(found, key=lambda image: (image.repository == CACHE, image.repository, image.digest)):
        if image.repository == CACHE and blobs.isdisjoint(_layers(image)):
            reason = "a layer that no image has any more"
        elif _is_spare(image, wanted, known):
            reason = "no retained release and no recent build has it"
        else:
            blobs |= set(image.blobs)
            continue
        removals.append((image, reason))
    return Plan(_sized(removals, blobs), len(images) - len(removals))


def _is_spare(image: Kept, wanted: set[tuple[str, str]], apps: set[str]) -> bool:
    return image.repository in apps and (image.repository, image.digest) not in wanted


def _layers(image: Kept) -> set[str]:
    """Of a cached layer: it is the largest blob of its image, beside a small config."""
    largest = max(image.blobs, key=lambda blob: image.blobs[blob], default="")
    return {largest}


def _sized(removals: Sequence[tuple[Kept, str]], kept: set[str]) -> list[Removal]:
    """Each with what goes with it; what several have counts once."""
    counted, found = set(kept), []
    for image, reason in removals:
        size = sum(size for blob, size in image.blobs.items() if blob not in counted)
        counted |= set(image.blobs)
        found.append(Removal(image, reason, size))
    return found
