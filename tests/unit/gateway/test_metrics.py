from __future__ import annotations

from pierhead.gateway import metrics
from pierhead.gateway.layout import Layout, Mode, Pool, Server, Structure
from pierhead.gateway.meter import Count
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route

ENDPOINT = Endpoint('n:"odd":80', "web", "10.0.0.1", 80, State.HEALTHY, {"pier-release": "v3"})
POOL = Pool(
    "http:web", "web", Protocol.HTTP, (Server("s1", ("10.0.0.1", 80), Mode.READY, 100, (ENDPOINT,)), Server("s2"))
)
NOTHING = metrics.Counted({}, ())
NUMBERS = metrics.Numbers(1, 0, 7, 0.5, 2, 0, 42, is_live=True)


def test_a_spare_backend_s_numbers_are_told_as_those_of_the_pool_in_it() -> None:
    said = 'haproxy_server_http_responses_total{proxy="spare:1:2",server="s1",code="2xx"} 5\n'
    text = metrics.text(said, NUMBERS, Layout({"http:web": POOL}), {"http:web": "spare:1:2"}, NOTHING)
    assert 'haproxy_server_http_responses_total{proxy="http:web",server="s1",code="2xx"} 5\n' in text
    assert "pierhead_gateway_reloads_total 1\n" in text
    assert "pierhead_gateway_old_workers 2\n" in text
    assert text.endswith(
        'pierhead_gateway_endpoint_info{proxy="http:web",server="s1",service="web",release="v3",'
        'id="n:\\"odd\\":80"} 1\n'
    )


def test_what_went_to_a_release_is_told_with_the_pool_that_routes_lead_to() -> None:
    route = Route("odd", "web", hosts=("web.test",))
    layout = Layout({"http:web": POOL}, Structure({"web.test/": "http:web"}))
    counts = {("web", "http:web", "v3"): Count(7, errors=2, failures=1, retries=4)}
    text = metrics.text("", NUMBERS, layout, {}, metrics.Counted(counts, [route, Route("none", "other")]))
    for name, value in {"requests": 7, "errors": 2, "failures": 1, "retries": 4}.items():
        full = f"pierhead_gateway_release_{name}_total"
        assert f'{full}{{service="web",release="v3",proxy="http:web"}} {value}\n' in text
    assert 'pierhead_gateway_route_info{route="odd",service="web",proxy="http:web"} 1\n' in text
    assert "none" not in text
