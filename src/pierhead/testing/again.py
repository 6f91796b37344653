"""The process that `pier up` starts, once for each line on standard input: `python -m pierhead.testing.again HOME`.

Each is a new process that knows nothing of the one before, which has ended; only its program is loaded already. So
what a killed process leaves behind can be looked at many times in a short while.
"""

from __future__ import annotations

import os
import sys

from pierhead.boot import solo


def main(folder: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            solo.main([folder])
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1])
