"""What tests of notices share: cores that tell the double, ports that come up on a host."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.doubles.clock import Clock
from tests.doubles.nova import TOKEN
from tests.doubles.store import ADMIN, register, report, reports

from netwright.model.resources import NetworkType, Segment
from netwright.model.wire import ReportStatus
from netwright.server.commands import CreateNetworks, CreateSubnets, NetworkDraft, SubnetDraft
from netwright.server.core import Core, ToldNova
from netwright.server.nova.endpoint import NovaEndpoint
from netwright.server.nova.notices import Telling

A = "11111111-2222-4333-8444-555555555555"
B = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
OWNED: dict[str, Any] = {"device_id": A, "device_owner": "compute:nova"}
PLUGGED = "network-vif-plugged completed"
FAILED = "network-vif-plugged failed"
UNPLUGGED = "network-vif-unplugged completed"
CHANGED = "network-changed completed"
DELETED = "network-vif-deleted completed"
WAIT_S = 20.0


class Nova:
    """How the cores of a test tell the double."""

    def __init__(self, url: str, directory: Path, timeout_s: float = 5.0) -> None:
        self._url = url
        self._token_file = directory / "nova.token"
        self._token_file.write_text(TOKEN)
        self._timeout_s = timeout_s
        self.counts: dict[str, int] = {}

    def told(self) -> ToldNova:
        endpoint = NovaEndpoint(self._url, self._token_file, self._timeout_s)
        return ToldNova(endpoint, self._timeout_s, self._count)

    def _count(self, outcome: str, count: int) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + count


@asynccontextmanager
async def running(
    url: str, told: ToldNova | None, clock: Clock | None = None
) -> AsyncIterator[Core]:
    core = await (Core.open(url, clock, nova=told) if clock else Core.open(url, nova=told))
    await core.start()
    try:
        yield core
    finally:
        await core.close()


async def prepare(core: Core) -> None:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = NetworkDraft(id="net", project_id="p", segment=segment)
    subnet = SubnetDraft(
        id="sub", project_id="p", network_id="net", cidr="10.0.0.0/20", ip_version=4
    )
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    await core.commit(register("h1"))


async def wire(core: Core, port_id: str, status: ReportStatus = ReportStatus.UP) -> None:
    port = await core.reader.port(port_id)
    assert port is not None
    await core.commit(reports("h1", report(port, "h1", status)))


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - a server in a thread, which has no events
            await asyncio.sleep(0.01)


async def settled(core: Core, port_id: str) -> list[Telling]:
    """The port's notices, once none of them waits."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = list(await core.reader.notices(port_id))
            if found and all(each.ended_at is not None for each in found):
                return found
            await asyncio.sleep(0.01)
