"""Work beside a block ends with it, and its faults are heard."""

import asyncio

from streams.beside import beside


async def test_work_lives_as_long_as_the_block() -> None:
    """Nothing goes on after the end, which must come within two seconds."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async with beside(lambda _: None, work()):
        await asyncio.sleep(0)
        assert ended == []

    assert ended == ["work"]


async def test_a_fault_is_told_while_the_block_goes_on() -> None:
    """A relay that has died must not look alive."""
    failures: list[BaseException] = []

    async def work() -> None:
        raise LookupError("inner workings")

    async with beside(failures.append, work()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [str(each) for each in failures] == ["inner workings"]

    assert len(failures) == 1
