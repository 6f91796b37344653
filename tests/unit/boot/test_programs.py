"""Only what these settings need must be installed."""

from __future__ import annotations

from pierhead.boot import programs
from pierhead.settings import Engine, Gateway, Registry, Settings


def test_an_engine_that_runs_needs_no_program() -> None:
    assert "dockerd" in programs.needed(Settings(), engine_runs=False)
    assert "dockerd" not in programs.needed(Settings(), engine_runs=True)
    assert "dockerd" not in programs.needed(Settings(engine=Engine(start="never")), engine_runs=False)


def test_a_registry_elsewhere_needs_none_here() -> None:
    assert "docker-registry" in programs.needed(Settings(), engine_runs=True)
    assert "docker-registry" not in programs.needed(Settings(registry=Registry(address="r:5000")), engine_runs=True)


def test_every_program_is_in_a_package() -> None:
    assert programs.needed(Settings(), engine_runs=False).keys() <= programs.PACKAGES.keys()


def test_a_missing_program_names_its_package() -> None:
    asked = programs.needed(Settings(gateway=Gateway(haproxy="no-such-haproxy")), engine_runs=True)
    assert "no-such-haproxy: is not installed; it carries every request to the apps" in map(
        str, programs.missing(asked)
    )


def test_the_folders_of_daemons_are_searched_once() -> None:
    path = programs.search_path("/usr/bin:/usr/sbin")
    assert path == "/usr/bin:/usr/sbin:/usr/local/sbin:/sbin"
    assert programs.search_path(path) == path
