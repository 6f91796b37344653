"""The engine service of a release."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pierhead.model.app import Deploy, Health, Network, Port, PortMode, Probe, Protocol, Resources, Spec, Volume
from pierhead.model.instance import Label
from pierhead.model.release import ImageConfig, Release
from pierhead.model.run import Run, RunState
from pierhead.release import service
from pierhead.wire.docker.services import Mount, document
from pierhead.wire.docker.services import Port as EnginePort

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = service.Place("pier", Path("/srv/dot_pier"))


def release(spec: Spec) -> Release:
    return Release(1, "notes", "dev", 3, "r/notes@sha256:1", "c0ffee", "", spec, {}, datetime(2026, 1, 1, tzinfo=UTC))


SPEC = Spec(
    "notes",
    ports=(Port("web", 8000), Port("admin", 9000)),
    command=("gunicorn", "app"),
    env={"PORT": "1", "LEVEL": "info"},
    volumes=(Volume("data", "/data"), Volume("/srv/x", "/x", read_only=True)),
    resources=Resources(cpus=0.5, memory_bytes=256 << 20),
    health=Health(probe=Probe.HTTP, path="/healthz"),
    deploy=Deploy(drain=timedelta(seconds=20), stop=timedelta(seconds=5)),
    labels={"disk": "ssd"},
)


def test_a_release_is_an_engine_service_with_its_own_name() -> None:
    made = service.spec(PLACE, release(SPEC), 2, [])
    assert (made.name, made.replicas, made.image) == ("notes-dev-v3", 2, "r/notes@sha256:1")
    assert service.spec(replace(PLACE, cluster="other"), release(SPEC), 2, []).name == "other-notes-dev-v3"
    assert made.ports == [EnginePort(8000), EnginePort(9000)]
    assert made.mounts == [Mount("volume", "pier.notes.dev.data", "/data"), Mount("bind", "/srv/x", "/x", True)]
    assert made.constraints == ["node.labels.disk == ssd"]


def test_whoever_stops_it_the_agent_gets_the_time_to_drain() -> None:
    made = service.spec(PLACE, release(SPEC), 2, [])
    assert (made.stop_signal, made.stop_grace) == ("SIGCONT", timedelta(seconds=25))
    assert json.loads(made.labels[Label.STOP]) == {"drain_seconds": 20, "stop_seconds": 5}


def test_the_agent_reads_ports_and_health_from_the_labels() -> None:
    labels = service.spec(PLACE, release(SPEC), 2, []).labels
    assert json.loads(labels[Label.PORTS]) == [
        {"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"},
        {"name": "admin", "port": 9000, "protocol": "http", "service": "notes-dev-admin"},
    ]
    assert json.loads(labels[Label.HEALTH])["path"] == "/healthz"
    assert json.loads(labels[Label.HEALTH])["port"] == "web"


def test_what_the_app_file_says_wins_over_what_pierhead_adds() -> None:
    env = service.spec(PLACE, release(SPEC), 2, []).env
    assert env == {
        "PIER_APP": "notes",
        "PIER_ENVIRONMENT": "dev",
        "PIER_RELEASE": "v3",
        "GIT_REV": "c0ffee",
        "PORT": "1",
        "LEVEL": "info",
    }


def test_the_host_network_publishes_nothing() -> None:
    made = service.spec(PLACE, release(Spec("notes", ports=(Port("web", 8000),), network=Network.HOST)), 1, [])
    assert (made.ports, made.networks) == ((), ["host"])


def test_the_engine_is_told_in_its_own_units() -> None:
    template = document(service.spec(PLACE, release(SPEC), 2, []))["TaskTemplate"]
    assert template["Resources"]["Limits"] == {"NanoCPUs": 500_000_000, "MemoryBytes": 268_435_456}
    assert template["ContainerSpec"]["StopGracePeriod"] == 25_000_000_000
    assert template["ContainerSpec"]["Args"] == ["gunicorn", "app"]
    assert template["LogDriver"]["Options"] == {"max-size": "20m", "max-file": "3"}


def test_what_is_kept_for_an_instance_is_reserved_on_its_node() -> None:
    spec = replace(SPEC, resources=Resources(None, 256 << 20, reserved_cpus=0.25, reserved_memory_bytes=128 << 20))
    template = document(service.spec(PLACE, release(spec), 2, []))["TaskTemplate"]
    assert template["Resources"] == {
        "Limits": {"MemoryBytes": 268_435_456},
        "Reservations": {"NanoCPUs": 250_000_000, "MemoryBytes": 134_217_728},
    }


def test_a_secret_as_a_variable_is_named_and_never_told() -> None:
    spec = Spec("notes", secrets=("KEY",), secret_env={"DATABASE_URL": "database", "KEY": "KEY"})
    assert spec.all_secrets == ("KEY", "database")
    made = service.spec(PLACE, replace(release(spec), image_config=ImageConfig(("app",))), 1, [])
    assert made.env["PIER_SECRET_VARIABLES"] == "DATABASE_URL=database KEY=KEY"
    assert not {"DATABASE_URL", "KEY"} & made.env.keys()


def test_what_runs_once_is_where_the_instances_have_their_volumes() -> None:
    there = replace(PLACE, volumes_on="x1y2")
    on_disk = replace(SPEC, volumes=(Volume("/srv/notes", "/data"),), labels={"disk": "ssd"})
    named = replace(on_disk, volumes=(Volume("data", "/data"),))
    made = [service.job(there, release(spec), [], "pre_deploy", ["migrate"]) for spec in (on_disk, named)]
    assert [list(one.constraints) for one in made] == [
        ["node.labels.disk == ssd"],
        ["node.labels.disk == ssd", "node.id == x1y2"],
    ]
    assert "node.id" not in str(service.spec(there, release(named), 1, []).constraints)


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_run_is_a_container_of_the_release_that_ends_by_itself(is_watched: bool) -> None:
    wanted = Run(7, "notes", "dev", 1, "mia", ("tidy",), {}, is_watched, RunState.WAITING, "", "", None, "", AT, None)
    made = service.run(PLACE, replace(release(SPEC), image_config=ImageConfig(("entry",))), [], wanted)
    assert (made.name, made.replicas, made.restart, list(made.ports)) == ("run-notes-7", 1, "none", [])
    assert (made.labels[Label.JOB], made.labels[Label.RUN]) == ("run", "7")
    if is_watched:
        assert (made.command[:3], made.arguments) == (["/.pier/busybox", "sh", "-c"], ())
    else:
        assert (made.command, made.arguments) == (["/.pier/init"], ["0", "entry", "tidy"])


@pytest.mark.parametrize(
    ("image", "command", "becomes"),
    [
        (ImageConfig(("/bin/app", "-v"), ("serve",)), (), ["/bin/app", "-v", "serve"]),
        (ImageConfig(("/bin/app", "-v"), ("serve",)), ("work", "-x"), ["/bin/app", "-v", "work", "-x"]),
        (ImageConfig(("/bin/app",)), (), ["/bin/app"]),
        (ImageConfig((), ("/bin/sh", "-c", "exec app")), (), ["/bin/sh", "-c", "exec app"]),
        (ImageConfig((), ("python", "app.py")), ("gunicorn", "app"), ["gunicorn", "app"]),
    ],
)
def test_an_instance_learns_where_it_is_reached_and_becomes_what_the_image_says(
    image: ImageConfig, command: tuple[str, ...], becomes: list[str]
) -> None:
    made = service.spec(PLACE, replace(release(Spec("notes", command=command)), image_config=image), 1, [])
    assert (made.command, made.arguments) == (["/.pier/init"], ["0", *becomes])
    assert made.mounts == [Mount("bind", "/srv/dot_pier", "/.pier", read_only=True)]


def test_variables_of_image_and_app_that_no_shell_holds_are_kept() -> None:
    config = ImageConfig(("java",), env={"a.b": "1", "c.d": "2", "PATH": "/bin"})
    spec = Spec("notes", env={"c.d": "3"}, ports_required=True)
    made = service.spec(PLACE, replace(release(spec), image_config=config), 1, [])
    assert made.arguments == ["2", "a.b=1", "c.d=3", "java"]
    assert made.env["PIER_PORTS_REQUIRED"] == "1"


def test_an_image_that_says_nothing_is_left_to_the_engine() -> None:
    made = service.spec(PLACE, replace(release(Spec("notes")), image_config=ImageConfig()), 1, [])
    assert (made.command, made.arguments, made.mounts) == ((), (), [])


def test_an_instance_with_ports_of_its_own_listens_where_it_is_reached() -> None:
    ports = (Port("web", 8000), Port("dubbo", 20880, Protocol.DUBBO, mode=PortMode.SAME))
    one = service.One("notes-dev-v3-20007", {"dubbo": 20007})
    made = service.spec(PLACE, release(Spec("notes", ports=ports)), 1, [], one)
    assert made.name == "notes-dev-v3-20007"
    assert made.ports == [EnginePort(8000), EnginePort(20007, 20007)]
    assert [port["port"] for port in json.loads(made.labels[Label.PORTS])] == [8000, 20007]
    told = {"PORT": "8000", "PIER_PORT_DUBBO": "20007", "PIER_HOST_PORT_20880": "20007", "DUBBO_PORT_TO_BIND": "20007"}
    assert told.items() <= made.env.items()


def test_the_first_port_is_told_as_port() -> None:
    ports = (Port("web", 8000, mode=PortMode.SAME),)
    made = service.spec(PLACE, release(Spec("notes", ports=ports)), 1, [], service.One("x", {"web": 20007}))
    assert made.env["PORT"] == "20007"
