import pytest

from pierhead.boot import resolver
from pierhead.kit import errors
from pierhead.settings import Gateway, Resolver, Settings
from pierhead.wire.dns.forward import Upstream


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("10.0.0.2", Upstream("10.0.0.2")),
        ("10.0.0.2:5353", Upstream("10.0.0.2", 5353)),
        ("2001:db8::1", Upstream("2001:db8::1")),
        ("[2001:db8::1]", Upstream("2001:db8::1")),
        ("[2001:db8::1]:5353", Upstream("2001:db8::1", 5353)),
    ],
)
def test_an_upstream_is_an_address_with_or_without_port(text: str, upstream: Upstream) -> None:
    assert resolver.upstream(text) == upstream


@pytest.mark.parametrize("text", ["", "dns.example", "10.0.0.2:x", "10.0.0.256", "10.0.0.2:", "10.0.0.2:99999"])
def test_an_upstream_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid):
        resolver.upstream(text)


def test_the_machine_s_own_nameservers_are_asked_except_the_resolver_itself() -> None:
    settings = Settings(resolver=Resolver(host="127.0.0.1", port=53), gateway=Gateway(host="10.0.0.7"))
    found = resolver.options(settings, "search x\nnameserver 127.0.0.1\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\n")
    assert found.upstreams == (Upstream("10.0.0.2"), Upstream("fe80::1"))
    assert found.naming.fallback == "10.0.0.7"
    assert resolver.options(settings, "").upstreams == ()
