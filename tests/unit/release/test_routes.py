"""The routes of an environment, also while it moves."""

from __future__ import annotations

from pierhead.kit import clock
from pierhead.model.app import Domains, Port, Protocol, Spec
from pierhead.model.policy import Policy
from pierhead.model.release import Release
from pierhead.release.routes import Shares, routes

LOCAL = Domains("localhost")


def release(number: int, *ports: Port) -> Release:
    spec = Spec("notes", ports=ports)
    return Release(number, "notes", "dev", number, "image", "c0ffee", "", spec, {}, clock.now())


def test_the_first_port_has_the_apps_own_name_and_further_ones_their_name_before_it() -> None:
    found = routes([release(1, Port("web", 8000, hosts=("notes.example",)), Port("admin", 9000))], LOCAL, "pier")
    assert {name: route.hosts for name, route in found.items()} == {
        "notes-dev": ("notes.dev.localhost", "notes.example"),
        "notes-dev-admin": ("admin.notes.dev.localhost",),
    }


def test_while_it_moves_the_names_of_both_releases_lead_there() -> None:
    new, old = release(2, Port("web", 1, hosts=("new.example",))), release(1, Port("web", 1, hosts=("old.example",)))
    assert routes([new, old], LOCAL, "pier")["notes-dev"].hosts == (
        "notes.dev.localhost",
        "new.example",
        "old.example",
    )


def test_a_tcp_port_is_found_by_its_service_port_alone() -> None:
    found = routes([release(1, Port("main", 6379, Protocol.TCP, service_port=7000))], LOCAL, "pier")
    assert (found["notes-dev"].hosts, found["notes-dev"].service_port) == ((), 7000)


def test_dubbo_never_goes_through_a_gateway() -> None:
    assert routes([release(1, Port("rpc", 20880, Protocol.DUBBO))], LOCAL, "pier") == {}


def test_an_environment_with_a_domain_of_its_own_has_plain_names_there() -> None:
    domains = Domains("localhost", {"dev": "example.com", "production": "other.test"})
    found = routes([release(1, Port("web", 8000), Port("admin", 9000))], domains, "pier")
    assert found["notes-dev"].hosts == ("notes.dev.localhost", "notes.example.com")
    assert found["notes-dev-admin"].hosts == ("admin.notes.dev.localhost", "admin.notes.example.com")


def test_what_a_port_says_of_requests_is_what_its_route_says() -> None:
    policy = Policy(sticky=True, redirect_code=301)
    port = Port("web", 8000, hosts=("shop.test",), policy=policy, redirect_hosts=("www.shop.test",))
    found = routes([release(1, port)], LOCAL, "pier")
    assert found["notes-dev"].policy == policy
    redirect = found["notes-dev.redirect"]
    assert (redirect.hosts, redirect.service) == (("www.shop.test",), "")
    assert redirect.policy == Policy(redirect="shop.test", redirect_code=301)


def test_maintenance_concerns_every_route_that_can_show_a_page() -> None:
    ports = (Port("web", 8000), Port("queue", 5672, Protocol.TCP, service_port=7000))
    found = routes([release(1, *ports)], LOCAL, "pier", Shares(is_in_maintenance=True))
    assert {name: route.policy.maintenance for name, route in found.items()} == {
        "notes-dev": True,
        "notes-dev-queue": False,
    }
