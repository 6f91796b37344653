"""An app that must know its host port before it starts is given one, and is found there through every release."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from pierhead.testing.load import Load, ask
from pierhead.testing.whole import Pierhead, Repository

HOST = "ported.dev.localhost"


@pytest.fixture(scope="module")
def site(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The static example with `mode: same`; it keeps the environment that it was started with."""
    repository = Repository(tmp_path_factory.mktemp("ported"), "site", "ported")
    repository.replace("pier.yaml", "{port: 8000}", "{port: 8000, mode: same}")
    text = (repository.folder / "pier.yaml").read_text()
    repository.write("pier.yaml", text + "command: [sh, -c, env > /tmp/told; exec pier-site]\n")
    repository.write("index.html", "first")
    repository.commit("Say first")
    pierhead.pier("deploy", str(repository.folder))
    return repository


def addresses(pierhead: Pierhead) -> dict[str, str]:
    """Where each instance is reached."""
    return {one["id"]: one["addresses"][0] for one in pierhead.json("ps", "ported")["instances"] if one["addresses"]}


def test_each_instance_is_told_where_it_is_reached_before_it_starts(pierhead: Pierhead, site: Repository) -> None:
    found = addresses(pierhead)
    assert len(set(found.values())) == 2
    for instance, place in found.items():
        told = pierhead.pier("exec", instance, "--", "cat", "/tmp/told").stdout.splitlines()
        address, _, port = place.rpartition(":")
        expected = {f"PORT={port}", f"PIER_PORT_WEB={port}", f"PIER_HOST_PORT_8000={port}", f"PIER_HOST_IP={address}"}
        assert expected | {f"PIER_INSTANCE={instance}", "PIER_RELEASE=v1"} <= set(told)


def test_a_release_takes_other_ports_and_loses_nothing(pierhead: Pierhead, site: Repository) -> None:
    before = set(addresses(pierhead).values())
    with Load(pierhead.gateway, HOST) as load:
        site.write("index.html", "second")
        site.commit("Say second")
        pierhead.pier("deploy", str(site.folder))
        assert ask(pierhead.gateway, HOST) == (200, "second")
    assert load.failures == []
    assert min(load.answers["first"], load.answers["second"]) > 20
    assert before.isdisjoint(addresses(pierhead).values())


def test_a_port_that_another_program_has_is_passed_over(pierhead: Pierhead, site: Repository) -> None:
    before = addresses(pierhead)
    newest = max(int(place.rpartition(":")[2]) for place in before.values())
    with ExitStack() as held:
        for number in (newest + 1, newest + 2):
            held.enter_context(socket.create_server(("", number)))
        pierhead.pier("scale", "ported", "3")
        new = set(addresses(pierhead).values()) - set(before.values())
        assert {int(place.rpartition(":")[2]) for place in new} == {newest + 3}
