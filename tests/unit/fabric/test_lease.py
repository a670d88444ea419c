"""The lease as its holder sees it: it stops before anybody else may begin."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.doubles import virtual_time
from tests.doubles.fabric_server import FabricServer

from netwright.fabric.lease import MARGIN_S, TTL_S, Lease, LeaseLost
from netwright.model.errors import NetwrightError
from netwright.model.wire import LeaseGrant, LeaseRequest


def scenario(work: Callable[[FabricServer, Callable[[], float]], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().time
        await work(FabricServer(clock), clock)

    virtual_time.run(main())


def test_it_is_renewed_for_as_long_as_the_server_answers() -> None:
    async def work(server: FabricServer, clock: Callable[[], float]) -> None:
        lease = Lease(server, "one", clock)
        token = await lease.take()
        keeping = asyncio.create_task(lease.keep())
        await asyncio.sleep(100)
        assert (lease.is_held, lease.token()) == (True, token)
        await server.go_away()
        began = clock()
        with pytest.raises(LeaseLost):
            await keeping
        assert clock() - began < TTL_S
        with pytest.raises(LeaseLost):
            lease.token()

    scenario(work)


def test_it_ends_here_before_it_ends_there() -> None:
    """However long the answer was under way: the server counts from later than we do."""

    async def work(server: FabricServer, clock: Callable[[], float]) -> None:
        class Slow:
            async def take_lease(self, name: str, wish: LeaseRequest) -> LeaseGrant:
                await asyncio.sleep(2)
                granted = await server.take_lease(name, wish)
                await asyncio.sleep(2)
                return granted

        lease = Lease(Slow(), "one", clock)
        await lease.take()
        assert lease.is_held
        await asyncio.sleep(TTL_S - MARGIN_S - 4 + 0.01)
        with pytest.raises(LeaseLost):
            lease.token()
        with pytest.raises(NetwrightError):  # it would still be refused to another
            await server.take_lease("fabric", LeaseRequest(holder="two", ttl_s=1))

    scenario(work)


def test_who_was_halted_longer_than_it_lasts_does_not_hold_it() -> None:
    async def work(server: FabricServer, clock: Callable[[], float]) -> None:
        halted = [0.0]
        lease = Lease(server, "one", lambda: clock() + halted[0])
        await lease.take()
        halted[0] = TTL_S - MARGIN_S + 0.001  # the machine slept: its clock ran on
        with pytest.raises(LeaseLost):
            lease.token()

    scenario(work)


def test_a_standby_takes_it_when_it_lapses_with_a_higher_token() -> None:
    async def work(server: FabricServer, clock: Callable[[], float]) -> None:
        first, second = Lease(server, "one", clock), Lease(server, "two", clock)
        token = await first.take()
        began = clock()
        assert await second.take() > token
        assert clock() - began < 10.0
        keeping = asyncio.create_task(first.keep())
        with pytest.raises(LeaseLost):
            await keeping

    scenario(work)


def test_given_back_it_is_anothers_at_once() -> None:
    async def work(server: FabricServer, clock: Callable[[], float]) -> None:
        first, second = Lease(server, "one", clock), Lease(server, "two", clock)
        await first.take()
        await first.give_back()
        began = clock()
        await second.take()
        assert clock() == began
        await server.go_away()
        await second.give_back()  # only tried
        assert not second.is_held

    scenario(work)
