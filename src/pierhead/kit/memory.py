"""Python's collector looks through everything again and again while much is allocated that stays."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def filling() -> Iterator[None]:
    """What is made in the block stays: nothing is looked for in it meanwhile, nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
