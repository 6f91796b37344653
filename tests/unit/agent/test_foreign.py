"""The SERVICE_* conventions, rule by rule."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.agent.agent_parts import NODE, container

from pierhead.agent import foreign
from pierhead.agent.endpoint import CRITICAL, PASSING, Endpoint, Kind
from pierhead.model.instance import Meta

ONE = {"80/tcp": [("0.0.0.0", 32768)]}
TWO = {"80/tcp": [("0.0.0.0", 32768)], "443/tcp": [("0.0.0.0", 32769)]}


def only(*args: object, **kwargs: object) -> Endpoint:
    (found,) = foreign.endpoints(NODE, container(*args, **kwargs))  # type: ignore[arg-type]
    return found


def test_a_published_port_is_registered_with_the_nodes_address() -> None:
    found = only(ONE)
    assert (found.id, found.service, found.address, found.port) == ("n1:web1:80", "web", "10.0.0.5", 32768)
    assert found.meta == {
        Meta.OWNER: "node-id",
        Meta.KIND: "container",
        Meta.NODE: "n1",
        Meta.INSTANCE: "c" * 64,
        Meta.PROTOCOL: "tcp",
    }


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("web", "web"),
        ("web:1.2", "web"),
        ("registry.example:5000/team/web:1.2", "web"),
        ("registry.example:5000/team/web", "web"),
        ("app@sha256:0123", "app"),
        ("team/app:1@sha256:0123", "app"),
        ("sha256:0123", "web1"),
    ],
)
def test_without_a_name_the_image_gives_it(image: str, name: str) -> None:
    assert only(ONE, image=image).service == name


def test_labels_replace_variables() -> None:
    assert only(ONE, {"SERVICE_NAME": "env", "SERVICE_TAGS": "a"}, {"SERVICE_NAME": "label"}).service == "label"


def test_only_upper_case_keys_count() -> None:
    assert only(ONE, {"service_name": "x"}, {"Service_NAME": "y"}).service == "web"


def test_text_behind_the_first_equals_sign_is_kept_whole() -> None:
    assert only(ONE, {"SERVICE_QUERY": "a=b=c"}).meta["query"] == "a=b=c"


def test_several_ports_get_their_number_unless_they_have_a_name_of_their_own() -> None:
    env = {"SERVICE_NAME": "shop", "SERVICE_443_NAME": "shop-tls"}
    found = foreign.endpoints(NODE, container(TWO, env))
    assert [(one.id, one.service) for one in found] == [("n1:web1:80", "shop-80"), ("n1:web1:443", "shop-tls")]


def test_ports_that_are_ignored_still_count_as_several() -> None:
    assert only(TWO, {"SERVICE_443_IGNORE": "yes"}).service == "web-80"


@pytest.mark.parametrize("value", ["1", "true", "false"])
def test_any_value_of_ignore_ignores(value: str) -> None:
    assert foreign.endpoints(NODE, container(ONE, {"SERVICE_IGNORE": value})) == []


def test_an_empty_ignore_does_not() -> None:
    assert only(ONE, {"SERVICE_IGNORE": ""}).service == "web"


@pytest.mark.parametrize("order", [("SERVICE_80_NAME", "SERVICE_NAME"), ("SERVICE_NAME", "SERVICE_80_NAME")])
def test_the_port_beats_the_general_whatever_comes_first(order: tuple[str, str]) -> None:
    values = {"SERVICE_80_NAME": "mine", "SERVICE_NAME": "general"}
    assert only(ONE, {key: values[key] for key in order}).service == "mine"


def test_a_port_is_matched_by_its_text() -> None:
    assert only(ONE, {"SERVICE_8_NAME": "x", "SERVICE_080_NAME": "y"}).service == "web"


def test_an_id_is_replaced_whole() -> None:
    assert only(ONE, {"SERVICE_ID": "mine"}).id == "mine"
    assert only(ONE, {"SERVICE_80_ID": "mine-80", "SERVICE_ID": "mine"}).id == "mine-80"


def test_udp_shows_in_id_and_tags_and_is_not_asked() -> None:
    found = only({"53/udp": [("0.0.0.0", 32770)]}, {"SERVICE_TAGS": "dns", "SERVICE_CHECK_TCP": "true"})
    assert (found.id, found.tags, found.probe.kind) == ("n1:web1:53:udp", ("dns", "udp"), Kind.NONE)


@pytest.mark.parametrize(
    ("text", "tags"),
    [("", []), ("a,b", ["a", "b"]), ("a,,b,", ["a", "b"]), (r"a\,b,c", ["a,b", "c"]), (" a , b ", ["a", "b"])],
)
def test_tags_keep_their_order(text: str, tags: list[str]) -> None:
    assert foreign.tags(text) == tags


def test_what_is_not_reserved_is_meta_with_the_port_winning() -> None:
    meta = only(ONE, {"SERVICE_ROUTE": "shop.example", "SERVICE_WEIGHT": "1", "SERVICE_80_WEIGHT": "2"}).meta
    assert (meta["route"], meta["weight"]) == ("shop.example", "2")
    assert not {"name", "id", "tags", "ignore", "80_weight"} & meta.keys()


def test_checks_are_meta_too() -> None:
    assert only(ONE, {"SERVICE_CHECK_HTTP": "/up"}).meta["check_http"] == "/up"


def test_meta_that_the_catalog_would_refuse_does_not_keep_the_service_out() -> None:
    labels = {"SERVICE_A.B": "1", "SERVICE_LONG": "x" * 600, **{f"SERVICE_K{number:02}": "v" for number in range(70)}}
    meta = only(ONE, labels=labels).meta
    assert "a.b" not in meta
    assert len(meta) <= 64
    assert max(map(len, meta.values())) <= 512


def test_nobody_can_pass_for_pierhead() -> None:
    meta = only(ONE, {"SERVICE_PIER-OWNER": "somebody", "SERVICE_PIER-APP": "notes"}).meta
    assert (meta[Meta.OWNER], Meta.APP in meta) == ("node-id", False)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"check_http": "/up"}, Kind.HTTP),
        ({"check_https": "/up"}, Kind.HTTPS),
        ({"check_tcp": "true"}, Kind.TCP),
        ({"check_grpc": "true"}, Kind.GRPC),
        ({"check_cmd": "true"}, Kind.COMMAND),
        ({"check_script": "true"}, Kind.COMMAND),
        ({"check_ttl": "30s"}, Kind.TTL),
        ({"check_tcp": "true", "check_http": "/up"}, Kind.HTTP),
        ({"check_http": "", "check_tcp": "true"}, Kind.TCP),
        ({"check_initial_status": "passing"}, Kind.NONE),
        ({"check_interval": "3s"}, Kind.NONE),
        ({}, Kind.NONE),
    ],
)
def test_the_first_check_with_a_value_is_taken(said: dict[str, str], kind: Kind) -> None:
    assert foreign.probe(said).kind is kind


def test_a_check_has_its_details() -> None:
    said = {
        "check_http": "/up",
        "check_http_method": "HEAD",
        "check_interval": "3s",
        "check_timeout": "500ms",
        "check_initial_status": "passing",
    }
    found = foreign.probe(said)
    assert (found.path, found.method, found.initial) == ("/up", "HEAD", PASSING)
    assert (found.interval, found.timeout) == (timedelta(seconds=3), timedelta(milliseconds=500))


def test_what_cannot_be_read_is_the_usual() -> None:
    found = foreign.probe({"check_tcp": "true", "check_interval": "soon", "check_initial_status": "maybe"})
    assert (found.interval, found.initial) == (timedelta(seconds=10), CRITICAL)


def test_grpc_is_asked_over_tls_where_that_is_said() -> None:
    assert foreign.probe({"check_grpc": "true", "check_grpc_use_tls": "true"}).kind is Kind.GRPCS
    assert foreign.probe({"check_grpc": "true", "check_grpc_use_tls": "false"}).kind is Kind.GRPC


def test_a_script_may_name_where_it_is_registered() -> None:
    found = only(ONE, {"SERVICE_CHECK_SCRIPT": "curl $SERVICE_IP:$SERVICE_PORT/up"})
    assert found.probe.command[-1] == "curl 10.0.0.5:32768/up"


def test_protocols_that_are_not_tcp_have_ids_of_their_own_and_are_not_asked() -> None:
    bindings = {"80/tcp": [("", 1)], "80/udp": [("", 2)], "80/sctp": [("", 3)]}
    found = foreign.endpoints(NODE, container(bindings, {"SERVICE_CHECK_TCP": "true"}))
    assert sorted((one.id, one.tags, one.probe.kind) for one in found) == [
        ("n1:web1:80", (), Kind.TCP),
        ("n1:web1:80:sctp", ("sctp",), Kind.NONE),
        ("n1:web1:80:udp", ("udp",), Kind.NONE),
    ]


def test_a_script_runs_in_a_shell_of_the_container() -> None:
    assert foreign.probe({"check_script": "test -e /up"}).command == ("/bin/sh", "-c", "test -e /up")


def test_user_networks_are_reached_through_the_node() -> None:
    assert only(ONE, network="shop_default").address == "10.0.0.5"


@pytest.mark.parametrize("network", ["none", "container:abc"])
def test_without_a_network_of_its_own_nothing_is_registered(network: str) -> None:
    there = container({}, network=network, exposed=frozenset({"80/tcp"}))
    assert foreign.endpoints(NODE, there) == []


def test_ports_that_are_not_published_are_not_registered() -> None:
    assert only({**ONE, "9000/tcp": []}).service == "web"


def test_on_the_host_network_exposed_ports_are_the_hosts() -> None:
    found = only({}, network="host", exposed=frozenset({"8080/tcp"}))
    assert (found.address, found.port) == ("10.0.0.5", 8080)


def test_a_container_that_ended_has_nothing() -> None:
    there = container({}, running=False, network="host", exposed=frozenset({"80/tcp"}))
    assert foreign.endpoints(NODE, there) == []
