"""The engine service of a release."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from pierhead.model.app import Deploy, Health, Network, Port, Probe, Resources, Spec, Volume
from pierhead.model.instance import Label
from pierhead.model.release import Release
from pierhead.release import service
from pierhead.wire.docker.services import Mount, document
from pierhead.wire.docker.services import Port as EnginePort


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
    made = service.spec("pier", release(SPEC), 2, [])
    assert (made.name, made.replicas, made.image) == ("notes-dev-v3", 2, "r/notes@sha256:1")
    assert service.spec("other", release(SPEC), 2, []).name == "other-notes-dev-v3"
    assert made.ports == [EnginePort(8000), EnginePort(9000)]
    assert made.mounts == [Mount("volume", "pier.notes.dev.data", "/data"), Mount("bind", "/srv/x", "/x", True)]
    assert made.constraints == ["node.labels.disk == ssd"]


def test_whoever_stops_it_the_agent_gets_the_time_to_drain() -> None:
    made = service.spec("pier", release(SPEC), 2, [])
    assert (made.stop_signal, made.stop_grace) == ("SIGCONT", timedelta(seconds=25))
    assert json.loads(made.labels[Label.STOP]) == {"drain_seconds": 20, "stop_seconds": 5}


def test_the_agent_reads_ports_and_health_from_the_labels() -> None:
    labels = service.spec("pier", release(SPEC), 2, []).labels
    assert json.loads(labels[Label.PORTS]) == [
        {"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"},
        {"name": "admin", "port": 9000, "protocol": "http", "service": "notes-dev-admin"},
    ]
    assert json.loads(labels[Label.HEALTH])["path"] == "/healthz"
    assert json.loads(labels[Label.HEALTH])["port"] == "web"


def test_what_the_app_file_says_wins_over_what_pierhead_adds() -> None:
    env = service.spec("pier", release(SPEC), 2, []).env
    assert env == {
        "PIER_APP": "notes",
        "PIER_ENVIRONMENT": "dev",
        "PIER_RELEASE": "v3",
        "GIT_REV": "c0ffee",
        "PORT": "1",
        "LEVEL": "info",
    }


def test_the_host_network_publishes_nothing() -> None:
    made = service.spec("pier", release(Spec("notes", ports=(Port("web", 8000),), network=Network.HOST)), 1, [])
    assert (made.ports, made.networks) == ((), ["host"])


def test_the_engine_is_told_in_its_own_units() -> None:
    template = document(service.spec("pier", release(SPEC), 2, []))["TaskTemplate"]
    assert template["Resources"]["Limits"] == {"NanoCPUs": 500_000_000, "MemoryBytes": 268_435_456}
    assert template["ContainerSpec"]["StopGracePeriod"] == 25_000_000_000
    assert template["ContainerSpec"]["Args"] == ["gunicorn", "app"]
    assert template["LogDriver"]["Options"] == {"max-size": "20m", "max-file": "3"}
