"""What runs, container or not."""

from __future__ import annotations

from pierhead.control import instances
from pierhead.control.instances import Instance
from pierhead.model.instance import Endpoint, Meta, State

META = {
    Meta.KIND: "host",
    Meta.INSTANCE: "host:notes-vm",
    Meta.NODE: "vm1",
    Meta.APP: "notes",
    Meta.ENVIRONMENT: "dev",
    Meta.RELEASE: "host",
}


def test_a_program_on_a_machine_is_an_instance_like_a_container() -> None:
    endpoint = Endpoint("vm1:notes-vm", "notes-dev", "10.0.0.7", 8080, State.UNHEALTHY, META, "refused\n")
    assert instances.on_machine(endpoint) == Instance(
        id="host:vm1:notes-vm",
        app="notes",
        environment="dev",
        release="host",
        node="vm1",
        state="unhealthy",
        reason="refused",
        addresses=("10.0.0.7:8080",),
        since=None,
    )
