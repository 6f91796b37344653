"""How the suite is shared out when several processes run it."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from xdist.scheduler.loadscope import LoadScopeScheduling

settings.register_profile("suite", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("suite")

_WHOLE = "tests/e2e/"
"""Its tests share one Pierhead, which costs more to start than to use."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests run in one process, in order; those of `_WHOLE` count as one file."""

    def _split_scope(self, nodeid: str) -> str:
        return _WHOLE if nodeid.startswith(_WHOLE) else nodeid.partition("::")[0]


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--postgresql", default="", help="a server to keep the databases of control and store in")


def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByFile:
    return ByFile(config, log)
