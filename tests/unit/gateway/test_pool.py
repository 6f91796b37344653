"""What HAProxy is told of a pool whose policy does something with requests."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pierhead.gateway import pool
from pierhead.gateway.frame import Frame
from pierhead.gateway.layout import Pool
from pierhead.model.app import Protocol
from pierhead.model.policy import Https, Policy

FRAME = Frame("127.0.0.1", 8080, Path("/d"), Path("/r"), 1000, 900, https_port=443)


def section(policy: Policy, protocol: Protocol = Protocol.HTTP, paths: tuple[str, ...] = ()) -> list[str]:
    found = Pool("p", "web", protocol, (), policy=policy, paths=paths)
    return [line.strip() for line in pool.text(found, FRAME).splitlines()[1:]]


def test_a_rewrite_looks_at_the_path_that_was_asked_for_and_quotes_whatever_is_in_it() -> None:
    assert section(Policy(rewrite="/50%'"), paths=("/a.b", ""))[1:] == [
        "http-request set-var(txn.path) path",
        r"http-request replace-path '^(/a\.b|)(/.*)?$' '/50%%'\''\2' unless { var(txn.path) -m str '/a.b' }",
        r"http-request set-path '/50%%'\''' if { var(txn.path) -m str '/a.b' }",
    ]


def test_https_on_its_usual_port_is_redirected_to_without_naming_it() -> None:
    lines = section(Policy(https=Https.REDIRECT, sticky=True))
    assert lines[1] == (
        "http-request redirect location https://%[req.hdr(host),host_only,lower]%[pathq] code 308 "
        "unless { req.hdr(X-Forwarded-Proto) -m str https }"
    )
    assert lines[2].endswith('insert indirect nocache httponly secure dynamic attr "SameSite=Lax"')


def test_a_plain_connection_has_no_rules_for_requests() -> None:
    policy = Policy(balance="source", idle_timeout=timedelta(hours=1))
    assert section(policy, Protocol.TCP) == ["balance source", "hash-type consistent", "timeout tunnel 3600000ms"]
