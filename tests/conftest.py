"""Where several processes share the suite (`pytest -n 2 --dist loadgroup`), each keeps what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

_WHOLE = {"e2e"}
"""Folders whose files share one whole Pierhead."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


def _group(file: Path) -> str:
    """Tests of one group run in one process, one after the other."""
    return file.parent.name if file.parent.name in _WHOLE else file.relative_to(Path(__file__).parent).as_posix()
