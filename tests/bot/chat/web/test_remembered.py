from __future__ import annotations

import asyncio

import pytest

from bot.chat.web.remembered import MAX_AGE_S, MAX_STALE_S, Remembered


class Reading:
    """A value that takes `seconds` to read; the clock is turned by hand."""

    def __init__(self, seconds: float = 1.0, **options: int) -> None:
        self.now, self.seconds, self.reads = 0.0, seconds, 0
        self.error: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.remembered = Remembered(clock=lambda: self.now, **options)

    async def read(self) -> int:
        self.reads += 1
        await self.go.wait()
        self.now += self.seconds
        if self.error:
            raise self.error
        return self.reads

    async def settle(self) -> None:
        """More turns of the loop than anything here needs."""
        for _ in range(9):
            await asyncio.sleep(0)

    async def get(self, name: str = "name") -> int:
        return await self.remembered.get(name, self.read)


@pytest.mark.parametrize(("seconds", "kept"), [(0.01, 0.2), (0.4, 8.0)])
async def test_what_took_longer_is_kept_longer(seconds: float, kept: float) -> None:
    reading = Reading(seconds)
    assert await reading.get() == 1
    reading.now += kept - 0.001
    assert await reading.get() == 1
    reading.now += 0.002
    assert await reading.get() == 2


async def test_for_what_takes_long_nobody_waits_twice() -> None:
    reading = Reading(seconds=30)
    assert await reading.get() == 1
    reading.now += MAX_AGE_S - 0.001
    assert (await reading.get(), reading.reads) == (1, 1)
    reading.now += 0.002
    reading.go.clear()
    async with asyncio.timeout(20):  # who waits for the new one waits for ever
        assert await reading.get() == 1, "the one before"
        assert await reading.get() == 1
    reading.go.set()
    await reading.settle()
    assert (await reading.get(), reading.reads) == (2, 2)
    reading.now += MAX_STALE_S + 0.001
    assert await reading.get() == 3, "what is so old is no use"


async def test_a_reading_that_nobody_waits_for_may_fail() -> None:
    reading = Reading(seconds=30)
    await reading.get()
    reading.now += MAX_AGE_S
    reading.error = OSError("away")
    assert await reading.get() == 1
    await reading.settle()
    reading.error = None
    assert await reading.get() == 1
    await reading.settle()
    assert (await reading.get(), reading.reads) == (3, 3)


async def test_those_who_ask_meanwhile_wait_for_the_same() -> None:
    reading = Reading()
    reading.go.clear()
    first, second, third = (asyncio.create_task(reading.get()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()  # this one went away
    reading.go.set()
    assert await asyncio.gather(second, third) == [1, 1]
    assert reading.reads == 1


async def test_one_is_read_at_a_time() -> None:
    reading = Reading()
    reading.go.clear()
    tasks = [asyncio.create_task(reading.get(name)) for name in "ab"]
    await reading.settle()
    assert reading.reads == 1
    reading.go.set()
    assert sorted(await asyncio.gather(*tasks)) == [1, 2]


async def test_a_failure_is_not_kept() -> None:
    reading = Reading()
    reading.error = OSError("away")
    with pytest.raises(OSError, match="away"):
        await reading.get()
    reading.error = None
    assert await reading.get() == 2


async def test_the_one_not_asked_for_longest_goes_first() -> None:
    reading = Reading(max_entries=2)
    for name in "abac":
        await reading.get(name)
    assert reading.reads == 3
    await reading.get("a")
    assert reading.reads == 3
    await reading.get("b")
    assert reading.reads == 4
