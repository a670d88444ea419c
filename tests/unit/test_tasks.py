"""Where tasks wait, named and bounded."""

import asyncio

from netwright.tasks import TASKS_NAMED_MAX, waiting


async def test_tasks_are_named_with_where_they_wait_and_no_more_than_some() -> None:
    async def wait() -> None:
        await asyncio.sleep(60)

    tasks = [asyncio.create_task(wait(), name=f"a{n:03}") for n in range(TASKS_NAMED_MAX + 3)]
    await asyncio.sleep(0)
    found = waiting()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert any(place.startswith("a000 at ") for place in found)
    assert len(found) == TASKS_NAMED_MAX + 1
    assert found[-1].startswith("and ")


async def test_those_that_wait_alike_are_one_line() -> None:
    async def wait() -> None:
        await asyncio.sleep(60)

    tasks = [asyncio.create_task(wait(), name="alike") for _ in range(3)]
    await asyncio.sleep(0)
    (found,) = [place for place in waiting() if place.startswith("alike at ")]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert found.endswith(", 3 of them")
