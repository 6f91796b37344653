import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.model.route import Route
from pierhead.resolver import plan, view
from pierhead.resolver.plan import Naming, Records
from pierhead.resolver.resource import Answer
from pierhead.resolver.view import Instance, View

GATEWAY = (Instance("pier-gateway:a", "n1", "10.0.0.1", 4402), Instance("pier-gateway:b", "n2", "10.0.0.2", 4402))
VIEW = View(
    routes={
        "notes-dev": Route("notes-dev", "notes-dev", hosts=("notes.dev.corp.example", "*.notes.corp.example")),
        "shop": Route("shop", "shop", hosts=("www.shop.example",)),
    },
    services={
        "pier-gateway": GATEWAY,
        "notes-dev": (
            Instance("1", "n1", "", 32768, ("dev", "v3"), app="notes", environment="dev"),
            Instance("2", "n2", "10.0.0.9", 32769, ("dev", "v4"), app="notes", environment="dev"),
            Instance("3", "n2", "10.0.0.9", 32770, ("dev", "v4"), is_usable=False),
        ),
        "db-dev": (Instance("4", "n1", "", 5432, is_usable=False, app="db", environment="dev"),),
        "six": (Instance("5", "n1", "2001:db8::1", 53),),
        "named": (Instance("6", "n1", "vm1.corp.example", 80),),
    },
    nodes={"n1": "10.0.0.1", "n2": "10.0.0.2"},
)
RECORDS = plan.records(VIEW, Naming("corp.example", own_address="10.0.0.53"), 7)


def found(name: str, kind: str = "A", records: Records = RECORDS) -> str:
    answer = records.find(name, kind)
    return printed(answer) if answer else "not ours"


def printed(answer: Answer) -> str:
    lines = [f"{r.name} {r.ttl} {r.kind} {r.data}" for r in answer.answers]
    lines += [f"+ {r.name} {r.ttl} {r.kind} {r.data}" for r in answer.additional]
    lines += [f"{answer.code} {r.name}" for r in answer.authority]
    return "\n".join(lines) or answer.code


def test_names_of_apps_and_routes_lead_to_every_gateway() -> None:
    assert plan.describe(RECORDS).splitlines() == [
        "*.notes.corp.example 5 A 10.0.0.1",
        "*.notes.corp.example 5 A 10.0.0.2",
        "db.dev.corp.example 5 A 10.0.0.1",
        "db.dev.corp.example 5 A 10.0.0.2",
        "notes.dev.corp.example 5 A 10.0.0.1",
        "notes.dev.corp.example 5 A 10.0.0.2",
        "www.shop.example 5 A 10.0.0.1",
        "www.shop.example 5 A 10.0.0.2",
        "named.service.consul 1 SRV 1 1 80 vm1.corp.example.",
        "notes-dev.service.consul 1 SRV 1 1 32768 n1.node.dc1.consul.",
        "notes-dev.service.consul 1 SRV 1 1 32769 0a000009.addr.dc1.consul.",
        "pier-gateway.service.consul 1 SRV 1 1 4402 0a000001.addr.dc1.consul.",
        "pier-gateway.service.consul 1 SRV 1 1 4402 0a000002.addr.dc1.consul.",
        "six.service.consul 1 SRV 1 1 53 20010db8000000000000000000000001.addr.dc1.consul.",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("a.b.notes.corp.example", "A", "a.b.notes.corp.example 5 A 10.0.0.1\na.b.notes.corp.example 5 A 10.0.0.2"),
        ("notes.dev.corp.example", "AAAA", "NOERROR corp.example"),
        ("dev.corp.example", "A", "NOERROR corp.example"),
        ("nothing.dev.corp.example", "A", "NXDOMAIN corp.example"),
        ("www.shop.example", "MX", "NOERROR www.shop.example"),
        ("shop.example", "A", "not ours"),
        ("example", "A", "not ours"),
        ("", "NS", "not ours"),
        ("xcorp.example", "A", "not ours"),
        ("corp.example", "NS", "corp.example 5 NS ns.corp.example.\n+ ns.corp.example 5 A 10.0.0.53"),
        ("corp.example", "SOA", "corp.example 5 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 5"),
        ("ns.corp.example", "A", "ns.corp.example 5 A 10.0.0.53"),
        (
            "notes-dev.service.consul",
            "A",
            "notes-dev.service.consul 1 A 10.0.0.1\nnotes-dev.service.consul 1 A 10.0.0.9",
        ),
        ("v4.notes-dev.service.dc1.consul", "A", "v4.notes-dev.service.dc1.consul 1 A 10.0.0.9"),
        (
            "_notes-dev._v4.service.consul",
            "SRV",
            "_notes-dev._v4.service.consul 1 SRV 1 1 32769 0a000009.addr.dc1.consul.\n"
            "+ 0a000009.addr.dc1.consul 1 A 10.0.0.9",
        ),
        ("_six._tcp.service.consul", "AAAA", "_six._tcp.service.consul 1 AAAA 2001:db8::1"),
        ("six.service.consul", "A", "NOERROR consul"),
        ("named.service.consul", "A", "named.service.consul 1 CNAME vm1.corp.example."),
        ("db-dev.service.consul", "A", "NXDOMAIN consul"),
        ("absent.service.consul", "A", "NXDOMAIN consul"),
        ("v9.notes-dev.service.consul", "A", "NXDOMAIN consul"),
        ("notes-dev.service.dc2.consul", "A", "NXDOMAIN consul"),
        ("service.consul", "A", "NOERROR consul"),
        ("n2.node.consul", "A", "n2.node.consul 1 A 10.0.0.2"),
        ("n3.node.consul", "A", "NXDOMAIN consul"),
        ("0a000009.addr.dc1.consul", "A", "0a000009.addr.dc1.consul 1 A 10.0.0.9"),
        ("xyz.addr.dc1.consul", "A", "NXDOMAIN consul"),
        ("consul", "A", "NOERROR consul"),
    ],
)
def test_a_question_is_answered_like_this(name: str, kind: str, answer: str) -> None:
    assert found(name, kind) == answer


def test_the_name_localhost_is_this_machine() -> None:
    assert found("localhost", "A", plan.records(VIEW, Naming("localhost"))) == "localhost 5 A 127.0.0.1"


def test_before_anything_is_known_our_names_are_an_error_and_not_absent() -> None:
    unknown = Records(Naming("corp.example"), View(), is_known=False)
    assert found("notes.dev.corp.example", "A", unknown) == "SERVFAIL"
    assert found("x.service.consul", "A", unknown) == "SERVFAIL"
    assert found("www.example.org", "A", unknown) == "not ours"


@pytest.mark.parametrize(
    ("gateways", "naming", "addresses"),
    [
        (GATEWAY, Naming(answer=("10.9.9.9",)), ["10.9.9.9"]),
        ((Instance("a", "n1", "10.0.0.1", 1, is_usable=False), GATEWAY[1]), Naming(), ["10.0.0.2"]),
        ((Instance("a", "n1", "10.0.0.1", 1, is_usable=False),), Naming(fallback="127.0.0.1"), ["10.0.0.1"]),
        ((Instance("a", "n1", "0.0.0.0", 1),), Naming(fallback="127.0.0.1"), ["127.0.0.1"]),
        ((), Naming(fallback="127.0.0.1"), ["127.0.0.1"]),
    ],
)
def test_names_lead_to_the_gateways_that_are_there(
    gateways: tuple[Instance, ...], naming: Naming, addresses: list[str]
) -> None:
    seen = View(services={"pier-gateway": gateways}, nodes={"n1": "10.0.0.1"})
    assert list(plan.records(seen, naming).gateways) == addresses


def test_without_any_gateway_a_name_is_an_error_and_not_absent() -> None:
    assert found("www.shop.example", "A", plan.records(View(routes=VIEW.routes), Naming())) == "SERVFAIL"


def test_an_empty_catalog_is_taken_for_an_unknown_one() -> None:
    assert view.trusted(VIEW, View()) == VIEW
    one = View(routes={"a": Route("a", "a")}, nodes={"n": "10.0.0.1"})
    assert view.trusted(one, View(nodes=one.nodes)).routes == {}
    less = View(routes={"shop": VIEW.routes["shop"]}, services={"six": VIEW.services["six"]}, nodes={"n1": "10.0.0.1"})
    assert view.trusted(VIEW, less) == less


def test_what_is_kept_on_disk_is_read_back() -> None:
    assert view.read(view.text(VIEW)) == VIEW


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"routes": {"a": 1}}', '{"routes":{},"services":{"a":[[1]]}}'])
def test_a_broken_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        view.read(text)


LABELS = st.lists(
    st.from_regex(r"[a-z*_.\-\x00]{0,5}|service|node|addr|consul|dc1|notes|dev|corp|example", fullmatch=True)
)


@given(LABELS, st.sampled_from(["A", "AAAA", "SRV", "SOA", "NS", "ANY", "TXT", "TYPE9999"]))
def test_any_question_has_an_answer_of_the_right_kind(labels: list[str], kind: str) -> None:
    answer = RECORDS.find(".".join(labels), kind)
    if answer:
        assert all(kind in (r.kind, "ANY") or r.kind == "CNAME" for r in answer.answers)
        assert answer.answers or answer.authority
