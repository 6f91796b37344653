from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pierhead.gateway import kept
from pierhead.gateway.kept import Kept
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route

ENDPOINT = Endpoint("a", "notes-dev", "::1", 80, State.DRAINING, {"pier-release": "v1"}, weight=7)
KNOWN = Snapshot(
    {"notes": Route("notes", "notes-dev", hosts=("n.test",), weights={"v1": 10})},
    {"bad": "a route is a JSON object"},
    {"notes-dev": (ENDPOINT,), "web": ()},
    implied={"web": (Route("web.test (metadata of web)", "web", hosts=("web.test",)),)},
)


def test_what_is_kept_on_disk_is_read_as_it_was(tmp_path: Path) -> None:
    Kept(tmp_path / "known").save(KNOWN)
    assert kept.read(tmp_path / "known") == KNOWN


def test_a_change_adds_only_what_changed_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "known"
    file = Kept(path)
    file.save(KNOWN)
    size = path.stat().st_size
    after = replace(KNOWN, refused={}, implied={}, endpoints={**KNOWN.endpoints, "web": (replace(ENDPOINT, id="b"),)})
    file.save(after)
    assert "n.test" not in path.read_text()[size:]
    found = kept.read(path)
    assert (found.refused, found.implied, [e.id for e in found.endpoints["web"]]) == ({}, {}, ["b"])


def test_a_line_that_a_crash_cut_off_is_as_if_it_never_was(tmp_path: Path) -> None:
    path = tmp_path / "known"
    Kept(path).save(KNOWN)
    with path.open("a") as file:
        file.write('["route","half",{"serv')
    assert kept.read(path) == KNOWN
