from __future__ import annotations

from pierhead.gateway import snapshot
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route


def test_what_is_kept_on_disk_is_read_as_it_was() -> None:
    kept = Snapshot(
        {"notes": Route("notes", "notes-dev", hosts=("n.test",), weights={"v1": 10})},
        {"bad": "a route is a JSON object"},
        {"notes-dev": (Endpoint("a", "notes-dev", "::1", 80, State.DRAINING, {"pier-release": "v1"}),)},
        42,
    )
    assert snapshot.read(snapshot.text(kept)) == kept
