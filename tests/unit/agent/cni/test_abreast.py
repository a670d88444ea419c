"""Two things at once succeed or fail as one, whichever of them is awaited in place."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from netwright.agent.cni.abreast import both


class Deed:
    """Ends with a result or an error when it is let, and may fail when it is cancelled."""

    def __init__(self, result: str | Exception, at_cancel: Exception | None = None) -> None:
        self.let = asyncio.Event()
        self.ended = False
        self._result = result
        self._at_cancel = at_cancel

    async def run(self) -> str:
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what it undoes
            self.ended = True
            if self._at_cancel is not None:
                raise self._at_cancel from None
            raise
        self.ended = True
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


Pairing = Callable[[Deed, Deed], Coroutine[Any, Any, tuple[str, str]]]


@pytest.fixture(params=["in place", "as a task"])
def pairing(request: pytest.FixtureRequest) -> Pairing:
    """The first deed is the one that ends first, wherever it is awaited."""

    async def swapped(first: Deed, second: Deed) -> tuple[str, str]:
        b, a = await both(second.run(), first.run())
        return a, b

    if request.param == "in place":
        return lambda first, second: both(first.run(), second.run())
    return swapped


async def test_both_results_are_there_when_both_have_ended(pairing: Pairing) -> None:
    first, second = Deed("a"), Deed("b")
    work = asyncio.create_task(pairing(first, second))
    first.let.set()
    await asyncio.sleep(0.01)
    assert not work.done()
    second.let.set()
    assert await work == ("a", "b")


@pytest.mark.parametrize("at_cancel", [None, ValueError("undone badly")])
async def test_the_error_of_the_first_that_fails_comes_when_the_other_has_ended(
    pairing: Pairing, at_cancel: Exception | None
) -> None:
    first, second = Deed(KeyError("a")), Deed("b", at_cancel)
    work = asyncio.create_task(pairing(first, second))
    await asyncio.sleep(0)
    first.let.set()
    with pytest.raises(KeyError):
        await work
    assert second.ended


async def test_a_cancel_ends_both(pairing: Pairing) -> None:
    first, second = Deed("a"), Deed("b")
    work = asyncio.create_task(pairing(first, second))
    await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert first.ended
    assert second.ended
