"""Fabric networks and neighbours in the agent's loop, in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import NoReturn

from structlog.testing import capture_logs
from tests.doubles import virtual_time
from tests.doubles.server import ServerDouble
from tests.doubles.values import attachment, binding, fabric_network, port
from tests.doubles.wiring import WiringDouble

from netwright.agent.agent import Agent
from netwright.agent.devices import TELL_AFTER_S
from netwright.agent.placing import FabricUplink
from netwright.agent.session import Identity
from netwright.model.errors import StaleEpoch
from netwright.model.states import AttachmentState, BindingState
from netwright.model.wire import DeviceAnswers, DevicesSeen

IDENTITY = Identity(
    host="h1",
    epoch="first",
    driver="double",
    fabric=FabricUplink(bridge="br-bond", physical_network="fabric"),
)


class Hearing:
    """Neighbours as a test says them."""

    def __init__(self) -> None:
        self.now: Mapping[str, str] | None = None
        self.why_not = ""
        self._changed: Callable[[], None] = lambda: None

    async def run(self, changed: Callable[[], None]) -> NoReturn:
        self._changed = changed
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    def heard(self) -> Mapping[str, str] | None:
        return self.now

    def trouble(self) -> str:
        return self.why_not

    def hear(self, now: Mapping[str, str], why_not: str = "") -> None:
        self.now, self.why_not = now, why_not
        self._changed()


class Site:
    """A host with a port of a fabric network, plugged and bound."""

    def __init__(self) -> None:
        self.server = ServerDouble([fabric_network()])
        self.server.put(port("p"))
        self.server.bind("p", "h1")
        self.wiring = WiringDouble()
        self.wiring.plug("p")
        self.neighbours: Hearing | None = Hearing()

    @property
    def state(self) -> BindingState:
        (binding,) = self.server.ports["p"].bindings
        return binding.state

    @property
    def vlan(self) -> int | None:
        standing = self.wiring.standing.get("p")
        return standing.endpoint.segment.segmentation_id if standing is not None else None

    def is_seen(self) -> bool:
        """Whether the server knows that the device is here."""
        return self.server.ports["p"].bindings[0].device_seen_at is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        agent = Agent(
            IDENTITY, self.server, self.wiring, neighbours=self.neighbours, jitter=lambda: 0.5
        )
        task = asyncio.create_task(agent.run())
        try:
            await asyncio.sleep(1)
            yield agent
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StaleEpoch):
                await task


def simulated(test: Callable[[Site], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        await test(Site())

    def run() -> None:
        virtual_time.run(main())

    run.__name__ = test.__name__
    return run


@simulated
async def test_a_port_waits_for_its_networks_vlan_and_is_wired_on_it(site: Site) -> None:
    site.server.attach(attachment(None))
    with capture_logs() as logs:
        async with site.running() as agent:
            assert (site.vlan, site.state) == (None, BindingState.PREPARING)
            assert agent.state()["later"] == [
                "p: the server has given fabric network net-1 no VLAN to host h1 yet"
            ]
            assert not site.is_seen()
            await asyncio.sleep(TELL_AFTER_S)
            assert site.is_seen()
            site.server.attach(attachment(2000))
            await asyncio.sleep(0.1)
            assert (site.vlan, site.state) == (2000, BindingState.UP)
            assert agent.state()["later_count"] == 0
    (told,) = (one for one in logs if one["event"] == "devices not wired")
    assert "no VLAN to host h1" in told["why"]


@simulated
async def test_a_server_that_does_not_heed_what_it_is_told_is_told_again_after_a_while(
    site: Site,
) -> None:
    told: list[float] = []

    async def heedless(name: str, devices: DevicesSeen) -> DeviceAnswers:
        assert (name, devices.port_ids) == ("h1", ("p",))
        told.append(asyncio.get_running_loop().time())
        return DeviceAnswers(ports=())

    site.server.devices_seen = heedless  # type: ignore[method-assign]
    site.server.attach(attachment(None))
    async with site.running():
        await asyncio.sleep(4 * TELL_AFTER_S)
    assert [after - before for before, after in pairwise(told)] == [TELL_AFTER_S] * 3


@simulated
async def test_another_vlan_rewires(site: Site) -> None:
    site.server.attach(attachment(2000))
    async with site.running():
        assert (site.vlan, site.state) == (2000, BindingState.UP)
        site.server.attach(attachment(2001, generation=1))
        await asyncio.sleep(0.1)
        assert (site.vlan, site.state) == (2001, BindingState.UP)


@simulated
async def test_a_vlan_that_is_taken_away_takes_the_wiring_and_the_server_hears_of_it(
    site: Site,
) -> None:
    site.server.attach(attachment(2000))
    async with site.running():
        site.server.attach(attachment(None, cause="its leaf is gone"))
        await asyncio.sleep(0.1)
        assert (site.vlan, site.state) == (None, BindingState.DOWN)
        assert "its leaf is gone" in site.server.ports["p"].bindings[0].cause
        site.server.attach(attachment(2001, generation=1))
        await asyncio.sleep(0.1)
        assert (site.vlan, site.state) == (2001, BindingState.UP)


@simulated
async def test_withdrawn_as_ever(site: Site) -> None:
    site.server.attach(attachment(2000))
    async with site.running():
        site.server.bind("p", "")
        site.server.delete("p")
        await asyncio.sleep(0.1)
        assert site.vlan is None
        assert not site.server.ports


@simulated
async def test_ports_speak_again_once_the_fabric_carries_them(site: Site) -> None:
    """Their first word may have ended at a leaf that had not the VLAN yet."""
    site.server.attach(attachment(2000))
    async with site.running():
        assert site.wiring.announced == []
        applied = site.wiring.applied
        site.server.attach(attachment(2000, state=AttachmentState.UP))
        await asyncio.sleep(0.1)
        assert site.wiring.announced == [frozenset({"p"})]
        assert site.wiring.applied == applied  # nothing is wired anew for that
        site.server.attach(attachment(2000, state=AttachmentState.DRIFTED))
        await asyncio.sleep(0.1)
        site.server.attach(attachment(2000, state=AttachmentState.UP))
        await asyncio.sleep(0.1)
        assert site.wiring.announced == [frozenset({"p"})] * 2


@simulated
async def test_a_port_that_was_activated_is_announced_ahead_once_while_its_old_host_closes(
    site: Site,
) -> None:
    leaving = binding("h2", state=BindingState.WITHDRAWING, active=False)
    site.server.attach(attachment(2000))
    site.server.put(port("p", leaving, binding("h1", generation=2)))
    async with site.running():
        assert site.wiring.announced_ahead == ["p"]
        assert site.vlan is None  # and no packet passes
        site.server.put(port("other"))
        await asyncio.sleep(0.1)
        assert site.wiring.announced_ahead == ["p"]
        site.server.put(port("p", binding("h1", generation=2)))
        await asyncio.sleep(0.1)
        assert site.state is BindingState.UP
        assert site.wiring.standing.keys() == {"p"}
        assert site.wiring.announced_ahead == ["p"]


@simulated
async def test_what_nics_hear_is_told_when_it_changes(site: Site) -> None:
    async with site.running():
        assert site.neighbours is not None
        site.neighbours.hear({"eth0": "leaf1/swp1"})
        await asyncio.sleep(0.1)
        told = [beat.neighbours for _, beat in site.server.heartbeats]
        assert told[-1] == {"eth0": "leaf1/swp1"}
        await asyncio.sleep(12)
        later = [beat.neighbours for _, beat in site.server.heartbeats][len(told) :]
        assert later
        assert set(later) == {None}


@simulated
async def test_until_lldpd_has_answered_nothing_is_said_of_neighbours(site: Site) -> None:
    """The server keeps what it knew from the agent's life before."""
    async with site.running():
        await asyncio.sleep(12)
        assert {beat.neighbours for _, beat in site.server.heartbeats} == {None}


@simulated
async def test_where_nobody_listens_nothing_is_heard(site: Site) -> None:
    """Though the agent's life before may have listened."""
    site.neighbours = None
    async with site.running():
        _, beat = site.server.heartbeats[0]
        assert beat.neighbours == {}


@simulated
async def test_that_nobody_listens_any_more_is_a_condition_of_the_host(site: Site) -> None:
    async with site.running():
        assert site.neighbours is not None
        site.neighbours.hear({}, "lldpd at /run/lldpd.socket does not answer")
        await asyncio.sleep(0.1)
        _, beat = site.server.heartbeats[-1]
        assert beat.neighbours == {}
        assert beat.conditions == {
            "neighbours unheard": "lldpd at /run/lldpd.socket does not answer"
        }
