"""Which images can go: never what somebody may go back to, never what is not Pierhead's."""

from __future__ import annotations

from collections.abc import Mapping

from pierhead.model import prune
from pierhead.model.prune import CACHE, Kept

BASE = {"sha256:base": 50 << 20}


def image(repository: str, digest: str, blobs: Mapping[str, int], *tags: str) -> Kept:
    return Kept(repository, f"sha256:{digest}", tags, {f"sha256:{digest}-config": 1024, **blobs})


IMAGES = (
    image("base/python", "b", BASE, "bookworm"),
    image("shop", "s1", {**BASE, "sha256:flask": 9 << 20, "sha256:c1": 1 << 20}, "aaaaaaaaaaaaaaaaaaaa"),
    image("shop", "s2", {**BASE, "sha256:flask2": 9 << 20, "sha256:c2": 1 << 20}, "bbbb"),
    image(CACHE, "k1", {"sha256:flask": 9 << 20}, "key1"),
    image(CACHE, "k2", {"sha256:flask2": 9 << 20}, "key2"),
    image("somebody/else", "x", {"sha256:x": 1 << 30}, "v1"),
)


def test_what_is_needed_stays_and_the_rest_says_why_it_goes() -> None:
    found = prune.plan(IMAGES, {"shop": ["sha256:s2"]}, ["shop"])
    first, second = (str(removal) for removal in found.removals)
    assert first.startswith("remove shop@s1 (aaaaaaaaaaaa): no retained release and no recent build has it, ")
    assert second == "remove cache/layers@k1 (key1): a layer that no image has any more, 1KiB"
    assert {removal.image.digest for removal in found.removals} == {"sha256:s1", "sha256:k1"}
    assert found.size == (10 << 20) + 2 * 1024, "the base stays, and a layer that two have counts once"
    assert found.kept == 4


def test_nothing_goes_while_all_is_needed_and_foreign_images_never_do() -> None:
    assert not prune.plan(IMAGES, {"shop": ["sha256:s1", "sha256:s2"]}, ["shop"]).removals
    gone = prune.plan(IMAGES, {}, ["shop"]).removals
    assert {removal.image.repository for removal in gone} == {"shop", CACHE}


def test_an_app_that_is_forgotten_is_not_guessed_at() -> None:
    assert {removal.image.repository for removal in prune.plan(IMAGES, {}, []).removals} == set()
