"""One Pierhead for all tests of this folder: base images are made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pierhead.testing import whole
from pierhead.testing.whole import Pierhead


@pytest.fixture(scope="session")
def pierhead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pierhead]:
    with whole.running(tmp_path_factory.mktemp("home")) as started:
        yield started
