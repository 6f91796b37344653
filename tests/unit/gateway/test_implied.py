from __future__ import annotations

from pierhead.gateway import implied, layout
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route


def endpoint(id_: str, route: str, service: str = "web") -> Endpoint:
    return Endpoint(id_, service, "10.0.0.1", 80, State.HEALTHY, {"route": route} if route else {})


def test_metadata_asks_for_a_route_by_each_host_that_any_instance_names() -> None:
    found = implied.routes(
        "web", [endpoint("1", "Web.test/"), endpoint("2", "web.test/api, other.test"), endpoint("3", "")]
    )
    assert [(route.name, route.hosts, route.paths) for route in found] == [
        ("other.test (metadata of web)", ("other.test",), ("/",)),
        ("web.test (metadata of web)", ("web.test",), ("/", "/api")),
    ]


def test_without_metadata_there_is_no_route() -> None:
    assert implied.routes("web", [endpoint("1", "")]) == ()


def test_a_document_comes_before_metadata_and_a_service_before_the_next() -> None:
    asked = {name: implied.routes(name, [endpoint("1", "n.test", name)]) for name in ("a", "b")}
    documents = {"z": Route("z", "z", hosts=("z.test",))}
    found = layout.draw(Snapshot(documents, implied=asked), {}, {})
    assert found.structure.sites == {"z.test/": "http:z", "n.test/": "http:a"}
    both = layout.draw(Snapshot({"z": Route("z", "z", hosts=("n.test",))}, implied=asked), {}, {})
    assert both.structure.sites == {"n.test/": "http:z"}
    assert [problem.route for problem in both.problems] == ["n.test (metadata of a)", "n.test (metadata of b)"]
