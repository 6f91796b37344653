import textwrap
from datetime import timedelta

import pytest

from pierhead import appfile
from pierhead.kit import errors
from pierhead.model.app import (
    BuildSpec,
    Deploy,
    Health,
    Network,
    Port,
    PortMode,
    Probe,
    Protocol,
    Resources,
    Spec,
    Strategy,
    Volume,
)
from pierhead.model.policy import Https, Policy

WHOLE = """
    x-probe: &probe {interval: 3s, timeout: 500ms}
    app: notes
    build: {runtime: python, base: "python:3.11"}
    ports:
      web: {port: 8000, hosts: [Notes.Localhost, "*.notes.localhost"], paths: [/, /api], service_port: 7001}
      rpc: {port: 20880, protocol: dubbo}
    replicas: 2
    resources: {memory: 256MiB, cpus: 0.5}
    health: {http: /healthz, port: web, rise: 2, fall: 4, <<: *probe}
    env: {DEBUG: no, VERSION: 1.10, MODE: 010, EMPTY: ""}
    secrets: [TOKEN]
    volumes: [{name: data, path: /data}, {folder: /srv/x, path: /x, read_only: true}]
    network: host
    deploy: {strategy: stop-first, step: 3, deadline: 5m, drain: 1m30s, stop: 0s}
    placement: {labels: {disk: ssd}}
    command: python -m notes "two words"
    environments:
      production:
        replicas: 4
        env: {DEBUG: null, EXTRA: 1}
        ports: {web: {hosts: [notes.example.com]}, rpc: null}
        health: none
      staging:
"""


def read(text: str) -> appfile.AppFile:
    return appfile.read(textwrap.dedent(text).strip().encode())


def problems(text: str) -> list[str]:
    with pytest.raises(errors.Invalid) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_everything_that_can_be_said_is_in_the_spec() -> None:
    assert read(WHOLE).spec("dev") == Spec(
        app="notes",
        ports_required=True,
        ports=(
            Port("web", 8000, Protocol.HTTP, 7001, ("notes.localhost", "*.notes.localhost"), ("/", "/api")),
            Port("rpc", 20880, Protocol.DUBBO, mode=PortMode.SAME),
        ),
        replicas=2,
        command=("python", "-m", "notes", "two words"),
        resources=Resources(cpus=0.5, memory_bytes=256 << 20),
        health=Health(Probe.HTTP, "/healthz", "web", timedelta(seconds=3), timedelta(milliseconds=500), 2, 4),
        env={"DEBUG": "no", "VERSION": "1.10", "MODE": "010", "EMPTY": ""},
        secrets=("TOKEN",),
        volumes=(Volume("data", "/data"), Volume("/srv/x", "/x", read_only=True)),
        network=Network.HOST,
        deploy=Deploy(
            Strategy.STOP_FIRST, 3, deadline=timedelta(minutes=5), drain=timedelta(seconds=90), stop=timedelta()
        ),
        labels={"disk": "ssd"},
        build=BuildSpec(runtime="python", base="python:3.11"),
    )


def test_an_overlay_merges_mappings_replaces_the_rest_and_removes_with_null() -> None:
    file = read(WHOLE)
    assert file.environments() == ("production", "staging")
    assert file.spec("staging") == file.spec("dev")
    found = file.spec("production")
    assert found.replicas == 4
    assert found.env == {"VERSION": "1.10", "MODE": "010", "EMPTY": "", "EXTRA": "1"}
    assert found.ports == (Port("web", 8000, Protocol.HTTP, 7001, ("notes.example.com",), ("/", "/api")),)
    assert found.health.probe is Probe.NONE


def test_the_shortest_file_is_a_worker() -> None:
    assert read("app: worker").spec("dev") == Spec(app="worker", health=Health(probe=Probe.NONE))


def test_a_port_is_probed_by_connecting_unless_told_otherwise() -> None:
    assert read("{app: a, ports: {web: {port: 80}}}").spec("dev").health == Health(Probe.TCP)
    text = "{app: a, ports: {db: {port: 5, protocol: tcp}, web: {port: 80}}, health: {http: /}}"
    assert read(text).spec("dev").health.port == "web"


def test_every_mistake_is_told_with_line_path_reason_and_nearest_name() -> None:
    text = """
        app: Notes
        prots: {}
        ports:
          web: {port: 80000, protocol: htp, hosts: ["http://x"], path: /}
          web: {port: 1}
          db: {port: 8000, protocol: tcp, hosts: [a.b]}
          more: {port: 8000}
        replicas: "3"
        health: {htp: /x, port: wep, interval: 5}
        env: {A B: 1, PIER_X: x, LIST: [1]}
        volumes: [{path: data}, x]
        command: a && b
        resources: {memory: 256MB!, cpus: true}
        tag: !!python/name:os.system x
        build: {runtime: pyton, target: x}
        environments:
          Prod: {app: x}
          production: {replica: 3, ports: {web: {port: 0}}, health: non}
    """
    keys = "app, build, test, ports, ports_required, replicas, command, health, resources, env, secrets, secret_env, "
    keys += "volumes, network, deploy, placement"
    assert problems(text) == [
        "pier.yaml:1 app: 'Notes' is not a name: lower-case letters, digits and `-`, a letter first, at most 40",
        "pier.yaml:2 prots: there is no such key (did you mean ports?)",
        "pier.yaml:4 ports.web.port: 80000 is more than 65535",
        "pier.yaml:4 ports.web.protocol: 'htp' is none of http, tcp, grpc, dubbo (did you mean http?)",
        "pier.yaml:4 ports.web.hosts.0: 'http://x' must be a name alone, without scheme, port or path",
        "pier.yaml:4 ports.web.path: there is no such key (did you mean paths?)",
        "pier.yaml:5 ports.web: is given twice, first in line 4",
        "pier.yaml:7 ports.more.port: container port 8000 is already that of db",
        "pier.yaml:8 replicas: must be a whole number, not '3'",
        "pier.yaml:9 health.interval: 5 is no duration: write 30s, 2m, 1h30m or 500ms",
        "pier.yaml:9 health.htp: there is no such key (did you mean http?)",
        "pier.yaml:9 health.port: belongs to http (write `tcp: <port name>`)",
        "pier.yaml:9 health.port: there is no port 'wep' (did you mean web?)",
        "pier.yaml:10 env.A B: 'A B' is no name of a variable",
        "pier.yaml:10 env.PIER_X: names that begin with PIER_ are set by Pierhead",
        "pier.yaml:10 env.LIST: must be a text, not a list",
        "pier.yaml:11 volumes.0.path: 'data' must be an absolute path without `..`, `//` or a `/` at its end",
        "pier.yaml:11 volumes.1: must be a mapping, not 'x'",
        "pier.yaml:11 volumes.0: needs either name or folder",
        'pier.yaml:12 command: is not run by a shell: write [sh, -c, "…"] where one is wanted',
        "pier.yaml:13 resources.memory: '256MB!' is no size: write 256MiB, 2GiB, 500MB or a number of bytes",
        "pier.yaml:13 resources.cpus: must be a number, not True",
        "pier.yaml:14 tag: tags are not used here: tag:yaml.org,2002:python/name:os.system",
        f"pier.yaml:14 tag: there is no such key (one of {keys}, environments)",
        "pier.yaml:15 build.runtime: 'pyton' is none of python, node, java, go, static (did you mean python?)",
        "pier.yaml:15 build.target: needs dockerfile",
        "pier.yaml:17 environments.Prod: "
        "'Prod' is not a name: lower-case letters, digits and `-`, a letter first, at most 40",
        "pier.yaml:17 environments.Prod.app: cannot differ between environments",
        "pier.yaml:18 environments.production.ports.web.port: 0 is less than 1",
        "pier.yaml:18 environments.production.health: must be a mapping or `none`, not 'non'",
        "pier.yaml:18 environments.production.replica: there is no such key (did you mean replicas?)",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must say what the app is"),
        ("[1]", "must say what the app is"),
        ("a: [", "is not YAML"),
        ("a: &a [*a]", "an alias contains itself"),
        ("[" * 5000, "is nested too deeply"),
        ("? [a]\n: b", "a key must be a text"),
        ("--- {app: a}\n--- {app: b}", "another document"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "\n".join(
                f"b{i}: &b{i} [{','.join([f'*{p}'] * 10)}]" for i, p in enumerate(["a", "b0", "b1", "b2", "b3"])
            ),
            "aliases are followed",
        ),
        ("app: 2026-01-01", "is not a name"),
        ("app: 1", "must be a text, not 1 (put it in quotes)"),
        ("app: x\nenv: {A: }", "env.A: must be a text, not empty"),
        ("app: x\n<<: 3", "must be an alias of a mapping"),
        ("app: x\nhealth: {tcp: web}", "there is no port 'web'"),
        ("app: x\nhealth: {interval: 1s}", "there is no port to probe"),
        ("app: x\nports: {a: {port: 1}}\nhealth: {http: /, tcp: a}", "exclude each other"),
        ("app: x\nports: {a: {port: 1, protocol: tcp}}\nhealth: {http: /}", "no port speaks HTTP"),
        ("app: x\nports: {a: {port: 1, protocol: dubbo, service_port: 2}}", "never led through a gateway"),
        ("app: x\nports: {a: {port: 1, hosts: [a.b]}, b: {port: 2, hosts: [A.b]}}", "A.b/ already leads to a"),
        ("app: x\nports: {a: {port: 1, hosts: [10.0.0.1]}}", "is an address"),
        ("app: x\nports: {a: {port: 1, hosts: [a_b.example]}}", "is no DNS name"),
        ("app: x\nports: {a: {port: 1, paths: [api]}}", "must begin with /"),
        ("app: x\nports: {a: {port: true}}", "must be a whole number, not True"),
        ("app: x\nvolumes: [{name: a, path: /a}, {name: b, path: /a}]", "already another volume's"),
        ("app: x\nvolumes: [{name: a, path: /run/secrets/a}]", "cannot be replaced by a volume"),
        ("app: x\nsecrets: [A, A]", "A is named twice"),
        ("app: x\nenv: {A: b}\nsecret_env: {A: c}", "secret_env.A: is in env too"),
        ("app: x\nsecret_env: {PIER_A: c}", "are set by Pierhead"),
        ("app: x\nresources: {memory: 1GiB, reserve: {memory: 2GiB}}", "2GiB is more than it may use: memory is 1GiB"),
        ("app: x\nbuild: {dockerfile: ../x}", "inside the repository"),
        ("app: x\nbuild: {dockerfile: x, runtime: node}", "dockerfile replaces recipes"),
        ("app: x\ndeploy: {deadline: 0s}", "must be longer than 0s"),
        ("app: x\nenvironments: 3", "must be a mapping"),
        ("app: x\nenvironments: {dev: 3}", "must be a mapping"),
        ("app: " + "a" * 40 + "\nenvironments: {" + "b" * 40 + ": {}}", "more than 52 characters"),
        (
            "app: " + "a" * 40 + "\nports: {a: {port: 1, protocol: dubbo}}\nenvironments: {" + "b" * 10 + ": {}}",
            "more than 46 characters",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(text: str, reason: str) -> None:
    found = problems(text)
    assert any(reason in problem for problem in found), found
    assert all(problem.startswith("pier.yaml:") for problem in found)


def test_other_encodings_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="2: is not UTF-8"):
        appfile.read(b"app: x\n\xff")


def test_a_mistake_that_only_an_overlay_makes_is_told_where_it_is_made() -> None:
    text = """
        app: x
        ports: {web: {port: 80}}
        health: {http: /}
        environments:
          dev:
            ports: {web: {protocol: tcp}}
    """
    assert problems(text) == ["pier.yaml:3 health.http: no port speaks HTTP (write `tcp: <port name>`)"]


def test_an_environment_that_the_file_does_not_name_must_still_be_a_name() -> None:
    with pytest.raises(errors.Invalid, match="is not a name"):
        read("app: x").spec("No")
    with pytest.raises(errors.Invalid, match="more than 52"):
        read("app: " + "a" * 40).spec("production-eu")


def test_what_gateways_do_with_requests_is_said_of_a_port() -> None:
    text = """
app: shop
ports:
  web: {port: 80, paths: [/shop], rewrite: /, https: redirect, hsts: 180d, redirect_hosts: [www.shop.test],
        redirect_code: 301, sticky: true, balance: "header:X-User", connect_timeout: 1s, response_timeout: 2m,
        idle_timeout: 1h, body_limit: 10MiB, http2: true}
  raw: {port: 443, protocol: tcp, hosts: [raw.test], balance: source, idle_timeout: 1h}
"""
    web, raw = read(text).spec("dev").ports
    assert web.redirect_hosts == ("www.shop.test",)
    assert web.policy == Policy(
        rewrite="/",
        https=Https.REDIRECT,
        hsts=timedelta(days=180),
        redirect_code=301,
        sticky=True,
        balance="header:X-User",
        connect_timeout=timedelta(seconds=1),
        response_timeout=timedelta(minutes=2),
        idle_timeout=timedelta(hours=1),
        body_limit=10 << 20,
        http2=True,
    )
    assert (raw.hosts, raw.policy.balance) == (("raw.test",), "source")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("protocol: tcp, sticky: true", "tcp carries no HTTP, and sticky is about HTTP"),
        ("protocol: tcp, balance: path", "only roundrobin, leastconn and source"),
        ("protocol: dubbo, idle_timeout: 1h", "dubbo carries no HTTP, and idle_timeout is about HTTP"),
        ("protocol: grpc, body_limit: 1MiB", "grpc does not say how large a message is"),
        ("balance: fastest", "is none of roundrobin, leastconn, source, path, header:<name>, cookie:<name>"),
        ("body_limit: much", "is no size"),
        ("rewrite: x", "must begin with /"),
    ],
)
def test_what_a_protocol_does_not_carry_is_refused(fields: str, reason: str) -> None:
    found = problems(f"app: x\nports: {{a: {{port: 1, {fields}}}}}")
    assert any(reason in problem for problem in found), found
