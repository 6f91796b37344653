"""The page that lists what the embedded catalog answers, written from its routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from pierhead.catalog.endpoints import routes, stubs
from pierhead.catalog.endpoints.routes import Methods

_HEAD = """# The Consul HTTP API, as the embedded catalog answers it

Generated from `src/pierhead/catalog/endpoints/routes.py`. A path that ends with `/` is followed by a name, an id or a
key. *As without it*: answered as by a Consul that does not use the feature. What reads, waits and filters take, who may
do what, and what differs from Consul: [the guide](../guides/catalog.md).
"""

_PARAMETERS: Mapping[str, str] = {
    "/v1/agent/service/register": "`replace-existing-checks`",
    "/v1/agent/service/": "`hash`, `wait`",
    "/v1/agent/services": "`filter`",
    "/v1/agent/checks": "`filter`",
    "/v1/agent/service/maintenance/": "`enable`, `reason`",
    "/v1/agent/maintenance": "`enable`, `reason`",
    "/v1/agent/check/pass/": "`note`",
    "/v1/agent/check/warn/": "`note`",
    "/v1/agent/check/fail/": "`note`",
    "/v1/agent/health/service/name/": "`format=text`",
    "/v1/agent/health/service/id/": "`format=text`",
    "/v1/agent/members": "`wan`",
    "/v1/catalog/nodes": "waits; `filter`, `near`, `node-meta`",
    "/v1/catalog/services": "waits; `filter`, `node-meta`",
    "/v1/catalog/service/": "waits; `tag` (repeated), `filter`, `near`, `node-meta`",
    "/v1/catalog/node/": "waits; `filter`",
    "/v1/catalog/node-services/": "waits; `filter`",
    "/v1/health/service/": "waits; `passing`, `tag` (repeated), `filter`, `near`, `node-meta`",
    "/v1/health/checks/": "waits; `filter`, `near`, `node-meta`",
    "/v1/health/node/": "waits; `filter`",
    "/v1/health/state/": "waits; `filter`, `near`, `node-meta`",
    "/v1/pierhead/changes": "Pierhead's own: which services changed since an index",
    "/v1/pierhead/services": "Pierhead's own: several services in one answer; `name` (repeated)",
    "/v1/kv/": "GET waits; `recurse`, `keys`, `separator`, `raw`. PUT: `cas`, `flags`, `acquire`, `release`. "
    "DELETE: `recurse`, `cas`",
    "/v1/session/info/": "waits",
    "/v1/session/list": "waits",
    "/v1/session/node/": "waits",
    "/v1/event/fire/": "`node`, `service`, `tag`",
    "/v1/event/list": "waits; `name`",
}


def markdown() -> str:
    """Every path with its methods and parameters, by the part of the API that it belongs to."""
    lines = [_HEAD]
    for noun, paths in groupby(sorted(routes.ROUTES), key=_noun):
        lines += [f"## {noun}", "", "| path | methods | |", "|---|---|---|"]
        for path in paths:
            methods = routes.ROUTES[path]
            lines.append(f"| `{path}` | {', '.join(methods)} | {_remark(path, methods)} |")
        lines.append("")
    return "\n".join(lines)


def _noun(path: str) -> str:
    return path.split("/")[2].capitalize() if path.startswith("/v1/") else "Root"


def _remark(path: str, methods: Methods) -> str:
    modules = {endpoint.__module__ for endpoint in methods.values()}
    is_stub = modules == {stubs.__name__} and not path.startswith(("/v1/status", "/v1/operator", "/v1/coordinate"))
    return "as without it" if is_stub and path != "/" else _PARAMETERS.get(path, "")
