"""Requests at a steady rate from a process of its own: `python -m pierhead.testing.steady URL HOST PER_SECOND MOST`.

Ends after MOST requests or on SIGTERM, when every request that was sent has its answer; prints what became of them as
JSON. A request that could not be sent in its turn is sent as soon as possible, so that a busy machine loses none.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

SLOW = "/cgi-bin/slow"
"""What every tenth request asks for."""
_BEGUN = 50
"""The requests after which the sender says that it is at work."""
_AT_ONCE = 32
"""A machine that is too busy for the rate gets fewer requests, instead of a queue that no small server can hold."""


async def send(url: str, host: str, per_second: int, most: int) -> Counter[str]:
    """How many requests were answered with which status, or failed how."""
    answers: Counter[str] = Counter()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    places = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, headers={"Host": host}) as session,
        asyncio.TaskGroup() as group,
    ):
        for number in range(1, most + 1):
            if over.is_set():
                break
            await asyncio.sleep(begin + number / per_second - loop.time())
            await places.acquire()
            if number == _BEGUN:
                sys.stdout.write("begun\n")
                sys.stdout.flush()
            group.create_task(_one(session, url + (SLOW if number % 10 == 0 else "/"), answers, places))
    return answers


@asynccontextmanager
async def sending(url: str, host: str, per_second: int = 500, most: int = 30_000) -> AsyncIterator[Counter[str]]:
    """Requests come inside the block from its first line on; behind it the counter says what became of them."""
    answers: Counter[str] = Counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url, host, str(per_second), str(most)), stdout=asyncio.subprocess.PIPE
    )
    if process.stdout is None or not await process.stdout.readline():
        raise RuntimeError("no request was sent")
    try:
        yield answers
    finally:
        if process.returncode is None:
            process.terminate()
        said, _ = await process.communicate()
    answers.update(json.loads(said))


async def _one(session: aiohttp.ClientSession, url: str, answers: Counter[str], places: asyncio.Semaphore) -> None:
    try:
        async with session.get(url) as response:
            await response.read()
            answers[str(response.status)] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        answers[repr(error)] += 1
    finally:
        places.release()


if __name__ == "__main__":
    sent = asyncio.run(send(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    sys.stdout.write(json.dumps(sent))
