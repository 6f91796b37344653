"""The routes of an environment, also while it moves."""

from __future__ import annotations

from pierhead.kit import clock
from pierhead.model.app import Port, Protocol, Spec
from pierhead.model.release import Release
from pierhead.release.routes import routes


def release(number: int, *ports: Port) -> Release:
    spec = Spec("notes", ports=ports)
    return Release(number, "notes", "dev", number, "image", "c0ffee", "", spec, {}, clock.now())


def test_the_first_port_has_the_apps_own_name_and_further_ones_their_name_before_it() -> None:
    found = routes([release(1, Port("web", 8000, hosts=("notes.example",)), Port("admin", 9000))], "localhost", "pier")
    assert {name: route.hosts for name, route in found.items()} == {
        "notes-dev": ("notes.dev.localhost", "notes.example"),
        "notes-dev-admin": ("admin.notes.dev.localhost",),
    }


def test_while_it_moves_the_names_of_both_releases_lead_there() -> None:
    new, old = release(2, Port("web", 1, hosts=("new.example",))), release(1, Port("web", 1, hosts=("old.example",)))
    assert routes([new, old], "localhost", "pier")["notes-dev"].hosts == (
        "notes.dev.localhost",
        "new.example",
        "old.example",
    )


def test_a_tcp_port_is_found_by_its_service_port_alone() -> None:
    found = routes([release(1, Port("main", 6379, Protocol.TCP, service_port=7000))], "localhost", "pier")
    assert (found["notes-dev"].hosts, found["notes-dev"].service_port) == ((), 7000)


def test_dubbo_never_goes_through_a_gateway() -> None:
    assert routes([release(1, Port("rpc", 20880, Protocol.DUBBO))], "localhost", "pier") == {}
