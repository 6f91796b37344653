"""Requests at a steady rate, and what became of each."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import aiohttp


class Load:
    """Requests at a steady rate, half of them on new connections, until it is stopped."""

    def __init__(self, gateway: str, host: str, per_second: int = 50) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._url, self._host, self._pause = gateway, host, 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as kept,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), timeout=timeout) as fresh,
            asyncio.TaskGroup() as group,
        ):
            number = 0
            while not self._stop.is_set():
                number += 1
                group.create_task(self._ask(kept if number % 2 else fresh))
                await asyncio.sleep(self._pause)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self._url, headers={"Host": self._host}) as response:
                text = await response.text()
                if response.status == 200:
                    self.answers[text] += 1
                else:
                    self.failures.append(f"{response.status} {text[:200]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(repr(error))


def ask(gateway: str, host: str) -> tuple[int, str]:
    """One request: its status and its body."""

    async def once() -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(gateway, headers={"Host": host}) as response,
        ):
            return response.status, await response.text()

    return asyncio.run(once())
