"""Names that two apps could both claim are seen as the same."""

from __future__ import annotations

from pierhead.model.app import Domains, Port, Protocol, Spec
from pierhead.model.names import claimed

LOCAL = Domains("localhost")
WEB = (Port("web", 8000),)


def test_an_app_claims_its_service_and_its_hosts_with_their_paths() -> None:
    port = Port("web", 8000, hosts=("notes.example",), paths=("/", "/api"))
    assert claimed(Spec("notes", ports=(port,)), "dev", LOCAL) == {
        "service notes-dev",
        "notes.dev.localhost/",
        "notes.dev.localhost/api",
        "notes.example/",
        "notes.example/api",
    }


def test_a_dash_in_the_wrong_place_is_a_clash() -> None:
    one, other = claimed(Spec("a", ports=WEB), "b-c", LOCAL), claimed(Spec("a-b", ports=WEB), "c", LOCAL)
    assert one & other == {"service a-b-c"}


def test_what_is_not_found_by_host_claims_none() -> None:
    assert claimed(Spec("cache", ports=(Port("main", 6379, Protocol.TCP),)), "dev", LOCAL) == {"service cache-dev"}


def test_redirects_further_domains_and_names_in_tls_are_claimed_too() -> None:
    ports = (Port("web", 80, redirect_hosts=("www.a.test",)), Port("raw", 443, Protocol.TCP, hosts=("raw.test",)))
    assert claimed(Spec("a", ports=ports), "production", Domains("localhost", {"production": "a.test"})) == {
        "service a-production",
        "service a-production-raw",
        "a.production.localhost/",
        "a.a.test/",
        "www.a.test/",
        "tls raw.test",
    }
