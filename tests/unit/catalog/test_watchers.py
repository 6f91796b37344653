from __future__ import annotations

from pierhead.catalog.watchers import Watchers


def test_a_key_wakes_its_own_watcher_and_those_of_its_prefixes() -> None:
    watchers, heard = Watchers(), []
    for topic in ("key:a/b", "key:a", "tree:a", "tree:", "tree:a/b/c", "tree:b", "services"):
        watchers.add((topic,), lambda topic=topic: heard.append(topic))  # type: ignore[misc]
    watchers.wake(["keys", "key:a/b"])
    assert sorted(heard) == ["key:a/b", "tree:", "tree:a"]


def test_one_who_waits_for_several_is_woken_once() -> None:
    watchers, heard = Watchers(), []

    def wake() -> None:
        heard.append(1)

    watchers.add(("services", "nodes"), wake)
    watchers.wake(["services", "nodes"])
    assert heard == [1]


def test_who_left_is_not_woken_and_leaves_nothing_behind() -> None:
    watchers, heard = Watchers(), []

    def wake() -> None:
        heard.append(1)

    watchers.add(("tree:a", "key:b"), wake)
    watchers.remove(("tree:a", "key:b"), wake)
    watchers.remove(("tree:a",), wake)
    watchers.wake(["key:ab", "key:b"])
    assert heard == []
    assert len(watchers) == 0
