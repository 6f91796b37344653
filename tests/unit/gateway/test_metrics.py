from __future__ import annotations

from pierhead.gateway import metrics
from pierhead.gateway.layout import Layout, Mode, Pool, Server
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State

ENDPOINT = Endpoint('n:"odd":80', "web", "10.0.0.1", 80, State.HEALTHY, {"pier-release": "v3"})
POOL = Pool(
    "http:web", "web", Protocol.HTTP, (Server("s1", ("10.0.0.1", 80), Mode.READY, 100, (ENDPOINT,)), Server("s2"))
)
NUMBERS = metrics.Numbers(1, 0, 7, 0.5, 2, 0, 42, is_live=True)


def test_a_spare_backend_s_numbers_are_told_as_those_of_the_pool_in_it() -> None:
    said = 'haproxy_server_http_responses_total{proxy="spare:1:2",server="s1",code="2xx"} 5\n'
    text = metrics.text(said, NUMBERS, Layout({"http:web": POOL}), {"http:web": "spare:1:2"})
    assert 'haproxy_server_http_responses_total{proxy="http:web",server="s1",code="2xx"} 5\n' in text
    assert "pierhead_gateway_reloads_total 1\n" in text
    assert "pierhead_gateway_old_workers 2\n" in text
    assert text.endswith(
        'pierhead_gateway_endpoint_info{proxy="http:web",server="s1",service="web",release="v3",'
        'id="n:\\"odd\\":80"} 1\n'
    )
