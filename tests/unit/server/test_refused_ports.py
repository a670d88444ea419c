"""What the server refused on the fabric is tried again by itself when the cause goes."""

import asyncio

import pytest
from tests.doubles.store import ADMIN
from tests.unit.server.overlay_scene import fabric_network, replaced, topology

from netwright.model.states import PortState
from netwright.model.wire import HostRegistration, Kind
from netwright.server import upkeep
from netwright.server.commands import CreatePorts, PortDraft, RegisterHost
from netwright.server.core import Core
from netwright.server.overlay.retrying import RefusedPorts


async def test_another_inventory_is_enough(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "UPKEEP_PERIOD_S", 0.01)
    await core.commit(fabric_network("red", 5000))
    registration = HostRegistration(epoch="e", driver="ovs")
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=registration))
    draft = PortDraft(id="a", project_id="p", network_id="red", host="h1", fixed_ips=())
    (port,) = await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    assert port.state is PortState.ERROR
    await core.commit(replaced(topology()))
    async with asyncio.timeout(10):
        async for chunk in core.watch(after=None, kinds=frozenset({Kind.PORT}), host=None):
            if b'"state":"WIRING"' in chunk:
                break


async def test_those_whose_cause_stays_do_not_keep_others_waiting() -> None:
    pages = {"": ("a", "b"), "b": ("c",), "c": ()}

    async def read(after: str) -> tuple[str, ...]:
        return pages[after]

    refused = RefusedPorts(read)
    assert await refused.next(is_time=False) == ()
    assert await refused.next(is_time=True) == ("a", "b")
    assert [await refused.next(is_time=False) for _ in range(3)] == [("c",), (), ()]
    assert await refused.next(is_time=True) == ("a", "b")
