"""Many hosts start pods at once: who waits how long, in virtual time.

The agents' requests (`agent.cni.ports.Together`) and the server's queue (`db.committer`) are the
real ones. A commit takes a time for itself and for each of its items; so does a report, which each
host sends of what it was answered, one batch after the other.
"""

import asyncio
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from tests.doubles import virtual_time

from netwright.agent.cni.ports import AT_ONCE_MAX, Together
from netwright.db.committer import Committer
from netwright.model.wire import ContainerPortOutcome

COMMIT_S = 0.005
ITEM_S = 0.00025
SLOWEST_MAX = 1.6


class Item(NamedTuple):
    """A port that is asked for, or reports of so many."""

    reports: int = 0


async def _committed(items: Sequence[Item]) -> Sequence[None]:
    await asyncio.sleep(COMMIT_S + ITEM_S * sum(max(one.reports, 1) for one in items))
    return [None] * len(items)


class Server:
    def __init__(self) -> None:
        self.requests: list[int] = []
        self.committer: Committer[Item, None] = Committer(
            _committed, lambda item: max(item.reports, 1), lambda item: item.reports > 0
        )
        self.committer.start()


class Host:
    """Asks for ports, and reports those that it has, as an agent's errand does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._asking: Together[int] = Together(self._ask)
        self._to_report = 0
        self._wake = asyncio.Event()

    async def _ask(self, wanted: Sequence[int]) -> Sequence[ContainerPortOutcome]:
        self._server.requests.append(len(wanted))
        await asyncio.gather(*(self._server.committer.submit(Item()) for _ in wanted))
        self._to_report += len(wanted)
        self._wake.set()
        return [ContainerPortOutcome()] * len(wanted)

    async def start(self, pods: int) -> tuple[float, float]:
        """When all were answered, and when all were reported."""
        loop = asyncio.get_running_loop()
        began, reported = loop.time(), asyncio.create_task(self._report(pods))
        await asyncio.gather(*map(self._asking.ask, range(pods)))
        answered_s = loop.time() - began
        await reported
        return answered_s, loop.time() - began

    async def _report(self, pods: int) -> None:
        while pods:
            await self._wake.wait()
            self._wake.clear()
            count, self._to_report = self._to_report, 0
            await self._server.committer.submit(Item(reports=count))
            pods -= count


def started(hosts: int, pods: int) -> tuple[Server, list[float], float]:
    """The server; when each host had all its pods; when all were reported."""

    async def main() -> tuple[Server, list[float], float]:
        server = Server()
        took = await asyncio.gather(*(Host(server).start(pods) for _ in range(hosts)))
        await server.committer.close()
        return server, sorted(at for at, _ in took), max(at for _, at in took)

    return virtual_time.run(main())


def test_hosts_that_start_pods_at_once_have_them_at_nearly_the_same_time() -> None:
    _, answered, _ = started(hosts=200, pods=40)
    assert answered[-1] / statistics.median(answered) <= SLOWEST_MAX


def test_reports_of_the_first_hold_up_the_last_by_their_share_only() -> None:
    _, answered, reported = started(hosts=200, pods=40)
    alone = 200 * 40 * ITEM_S
    assert alone < answered[-1] < alone * 1.25
    assert reported < alone * 2.2


def test_one_host_waits_little_for_asking_in_turns() -> None:
    server, answered, _ = started(hosts=1, pods=100)
    assert (sum(server.requests), max(server.requests)) == (100, AT_ONCE_MAX)
    assert answered[-1] / 100 < 0.001
