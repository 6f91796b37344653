"""Which engines read what."""

from __future__ import annotations

import pytest

from pierhead.build import compression
from pierhead.build.compression import GZIP, ZSTD
from pierhead.kit import errors


def test_an_engine_that_reads_no_zstd_is_named_with_what_to_do() -> None:
    nodes = {"a": "24.0.7", "b": "20.10.24+dfsg1", "c": ""}
    with pytest.raises(errors.Conflict) as caught:
        compression.require(ZSTD, nodes)
    assert str(caught.value) == (
        "Engines before 23 read no images with build.compression = zstd: b has 20.10.24+dfsg1, c has an unknown one.\n"
        "Update these nodes' engines, or set build.compression to gzip, which all engines read."
    )


def test_what_all_read_is_let_through() -> None:
    compression.require(GZIP, {"b": "20.10.24"})
    compression.require(ZSTD, {"a": "23.0.0", "b": "29.1"})
