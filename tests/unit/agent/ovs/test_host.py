"""The host's OVS as the agent's loop sees it, over a simulated switch."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.actual import CONTAINER_MARK, Device, Rows
from netwright.agent.ovs.changes import Problem
from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.host import ANNOUNCE_AFTER_S, OvsHost
from netwright.agent.ovs.lost_uplinks import LOST_S
from netwright.agent.ovs.outcome import Outcome
from netwright.agent.ovs.wiring import Bond, Desired, HostWiring, PhysicalBridge
from netwright.agent.ovs.wiring import Endpoint as OvsEndpoint
from netwright.agent.ovs.witness import UplinkState, uplink_states
from netwright.agent.wiring import Endpoint, NewDevice, Wiring, WiringError, WiringStatus
from netwright.agent.wiring import Outcome as WiringOutcome
from netwright.model.resources import AddressPair, NetworkType, Segment

WIRING = HostWiring((PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1"))),))
SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=101)
ENDPOINT = Endpoint(
    port_id="p1",
    network_id="n1",
    segment=SEGMENT,
    mac_address="fa:16:3e:00:00:01",
    addresses=("10.0.0.1",),
    allowed_address_pairs=(AddressPair(ip_address="10.9.0.0/16", mac_address="fa:16:3e:00:00:02"),),
)


class SimDriver(OvsDriver):
    """A driver whose Open vSwitch is simulated."""

    def __init__(self, switch: SimSwitch) -> None:
        super().__init__(WIRING, ovsdb=Path("/nowhere"), rundir=Path("/nowhere"))
        self.switch = switch
        self.away: str | None = None
        self.is_quiet = False
        self.converged = 0
        self.halted: asyncio.Event | None = None
        self.event = asyncio.Event()
        self.announced: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self.ahead: list[str] = []
        self.outside: list[tuple[str, int | None]] = []
        self.noted = 0

    def note_change(self) -> None:
        self.noted += 1

    async def run(self) -> None:
        self.event.set()
        await asyncio.Event().wait()

    @property
    def has_changed(self) -> bool:
        return not self.is_quiet

    async def wait_changed(self) -> None:
        await self.event.wait()
        self.event.clear()

    async def converge(self, desired: Desired) -> Outcome:
        async with self._lock:
            self.converged += 1
            if self.halted is not None:
                await self.halted.wait()
            if self.away:
                problem = Problem("Open vSwitch", self.away)
                return Outcome((), (problem,), complete=False, unreachable=self.away)
            plan = self.switch.converge(desired)
            return Outcome(plan.endpoints, plan.problems, complete=True)

    async def announce(self, endpoints: Iterable[OvsEndpoint]) -> None:
        self.announced.put_nowait(tuple(one.port_id for one in endpoints))

    async def announce_ahead(self, endpoints: Iterable[OvsEndpoint]) -> None:
        self.ahead += [one.port_id for one in endpoints]

    async def take_for_outside(self, endpoints: Iterable[OvsEndpoint]) -> None:
        self.outside += [(one.port_id, one.segment.vlan) for one in endpoints]

    def devices(self) -> tuple[Device, ...]:
        return self.switch.rows().devices("br-int")

    def uplinks(self) -> tuple[UplinkState, ...]:
        return uplink_states(WIRING, self.rows())

    def rows(self) -> Rows:
        return self.switch.rows()


@asynccontextmanager
async def running(
    *plugged: str,
    clock: Callable[[], float] = time.monotonic,
    driver: SimDriver | None = None,
) -> AsyncIterator[tuple[OvsHost, SimDriver, asyncio.Event]]:
    driver = driver or SimDriver(SimSwitch())
    host = OvsHost(driver, clock=clock)
    changed = asyncio.Event()
    task = asyncio.create_task(host.run(changed.set))
    await host.wait_ready(5)
    for port_id in plugged:
        driver.switch.plug("br-int", f"tap{port_id}", port_id)
    changed.clear()
    yield host, driver, changed
    task.cancel()
    await asyncio.wait([task])


def test_it_is_a_wiring() -> None:
    async def make() -> Wiring:
        return OvsHost(SimDriver(SimSwitch()))

    assert asyncio.run(make())


async def test_base_wiring_needs_no_server() -> None:
    async with running() as (_, driver, _changed):
        assert driver.switch.port("bond0").bond_mode == "active-backup"


async def test_apply_wires_and_says_so() -> None:
    async with running("p1", "p9") as (host, driver, _):
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert {port: o.status for port, o in wired.outcomes.items()} == {"p1": WiringStatus.UP}
        assert wired.standing == frozenset()
        assert set(host.devices()) == {"p1", "p9"}
        assert host.devices()["p1"].name == "tapp1"
        assert driver.switch.port("tapp1").tag == 1


async def test_what_is_not_desired_stands_until_it_may_be_swept() -> None:
    async with running("p1") as (host, driver, _):
        await host.apply({"p1": ENDPOINT}, sweep=True)
        assert (await host.apply({}, sweep=False)).standing == {"p1"}
        assert (await host.apply({}, sweep=True)).standing == frozenset()
        assert driver.switch.port("tapp1").tag == 4095


async def test_a_port_without_device_has_no_outcome() -> None:
    async with running() as (host, _, _changed):
        assert (await host.apply({"p1": ENDPOINT}, sweep=True)).outcomes == {}


@pytest.mark.parametrize(
    ("segment", "cause"),
    [
        (Segment(network_type=NetworkType.VLAN, physical_network="physnet1"), "without a VLAN id"),
        (Segment(network_type=NetworkType.FLAT), "without a physical network"),
        (
            Segment(network_type=NetworkType.VLAN, physical_network="x", segmentation_id=5),
            "this host has no physical network x",
        ),
        (
            Segment(network_type=NetworkType.VLAN, physical_network="x", segmentation_id=5000),
            "VLAN 5000 of x is not in 1..4094",
        ),
    ],
)
async def test_an_endpoint_that_cannot_be_wired_is_refused_alone(
    segment: Segment, cause: str
) -> None:
    bad = msgspec.structs.replace(ENDPOINT, port_id="p2", segment=segment)
    async with running("p1", "p2") as (host, _, _changed):
        outcomes = (await host.apply({"p1": ENDPOINT, "p2": bad}, sweep=True)).outcomes
        assert outcomes["p1"].status is WiringStatus.UP
        assert outcomes["p2"].status is WiringStatus.REFUSED
        assert cause in outcomes["p2"].cause


async def test_a_device_that_appears_is_wired_before_the_loop_asks() -> None:
    async with running() as (host, driver, changed):
        await host.apply({"p1": ENDPOINT}, sweep=True)
        driver.switch.plug("br-int", "tapp1", "p1")
        driver.event.set()
        async with asyncio.timeout(5):
            await changed.wait()
        assert driver.switch.port("tapp1").tag == 1


async def test_a_port_that_came_up_is_announced_once_after_the_loop_was_told() -> None:
    async with running() as (host, driver, changed):
        await host.apply({"p1": ENDPOINT}, sweep=True)
        driver.switch.plug("br-int", "tapp1", "p1")
        driver.event.set()
        async with asyncio.timeout(5):
            await changed.wait()
            assert driver.announced.empty()
            assert await driver.announced.get() == ("p1",)
        await host.apply({"p1": ENDPOINT}, sweep=True)
        await asyncio.sleep(3 * ANNOUNCE_AFTER_S)
        assert driver.announced.empty()


async def test_a_containers_port_is_announced_when_its_runtime_was_answered() -> None:
    async with running() as (host, driver, changed):
        await host.apply({"p1": ENDPOINT}, sweep=True)
        driver.switch.plug("br-int", "nwcp1", "p1")
        interface = driver.switch.interface("nwcp1")
        ids = {**interface.external_ids, CONTAINER_MARK: "c@eth0"}
        driver.switch.interfaces[interface.uuid] = msgspec.structs.replace(
            interface, external_ids=ids
        )
        driver.event.set()
        async with asyncio.timeout(5):
            await changed.wait()
            came_up = asyncio.get_running_loop().time()
            assert await driver.announced.get() == ("p1",)
        assert asyncio.get_running_loop().time() - came_up >= ANNOUNCE_AFTER_S / 2


async def test_a_port_on_another_segment_is_announced_there_and_any_when_it_is_asked_to() -> None:
    async with running("p1") as (host, driver, _):
        async with asyncio.timeout(5):
            await host.apply({"p1": ENDPOINT}, sweep=True)
            assert await driver.announced.get() == ("p1",)
            elsewhere = Segment(
                network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=102
            )
            moved = msgspec.structs.replace(ENDPOINT, segment=elsewhere)
            await host.apply({"p1": moved}, sweep=True)
            assert await driver.announced.get() == ("p1",)
            host.announce(["p1", "not here"])
            assert await driver.announced.get() == ("p1",)
            silent = msgspec.structs.replace(moved, admin_state_up=False)
            await host.apply({"p1": silent}, sweep=True)
            host.announce(["p1"])
            assert await driver.announced.get() == ()


async def test_a_port_that_left_is_taken_for_outside_and_one_that_stays_is_not() -> None:
    async with running("p1", "p2") as (host, driver, _):
        other = msgspec.structs.replace(ENDPOINT, port_id="p2", mac_address="fa:16:3e:00:00:09")
        await host.apply({"p1": ENDPOINT, "p2": other}, sweep=True)
        silent = msgspec.structs.replace(ENDPOINT, admin_state_up=False)
        await host.apply({"p1": silent, "p2": other}, sweep=True)
        assert driver.outside == [("p1", 101)]
        await host.apply({"p1": silent, "p2": other}, sweep=True)
        assert driver.outside == [("p1", 101)]
        await host.apply({"p1": silent}, sweep=True)
        assert driver.outside == [("p1", 101), ("p2", 101)]


async def test_a_port_on_another_segment_has_left_the_first() -> None:
    async with running("p1") as (host, driver, _):
        await host.apply({"p1": ENDPOINT}, sweep=True)
        elsewhere = msgspec.structs.replace(SEGMENT, segmentation_id=102)
        moved = msgspec.structs.replace(ENDPOINT, segment=elsewhere)
        await host.apply({"p1": moved}, sweep=True)
        assert driver.outside == [("p1", 101)]


async def test_only_ports_whose_device_is_here_are_announced_ahead() -> None:
    async with running("p1") as (host, driver, _):
        away = msgspec.structs.replace(ENDPOINT, port_id="p9")
        await host.announce_ahead([ENDPOINT, away])
        assert driver.ahead == ["p1"]


async def test_ovs_away_is_a_wiring_error() -> None:
    async with running() as (host, driver, _):
        driver.away = "no ovs-vswitchd"
        with pytest.raises(WiringError, match="no ovs-vswitchd"):
            await host.apply({}, sweep=True)
        assert host.conditions()["base wiring"] == "Open vSwitch: no ovs-vswitchd"


async def test_not_ready_says_why() -> None:
    driver = SimDriver(SimSwitch())
    driver.away = "ovsdb-server sleeps"
    host = OvsHost(driver)
    task = asyncio.create_task(host.run(lambda: None))
    with pytest.raises(WiringError, match="ovsdb-server sleeps"):
        await host.wait_ready(0.05)
    task.cancel()
    await asyncio.wait([task])


async def test_nics_and_redundancy() -> None:
    async with running() as (host, driver, _):
        for name, state in (("nic0", "up"), ("nic1", "down")):
            row = driver.switch.interface(name)
            driver.switch.interfaces[row.uuid] = msgspec.structs.replace(
                row, bfd_status={"state": state}
            )
        assert [(nic.name, nic.link_up, nic.forwarding) for nic in host.nics()] == [
            ("nic0", True, True),
            ("nic1", True, False),
        ]
        cause = "bond0 on br-bond: no verified path by nic1"
        assert host.conditions() == {"redundancy lost": cause}


def all_silent(driver: SimDriver, state: str = "down") -> None:
    for name in ("nic0", "nic1"):
        row = driver.switch.interface(name)
        silent = msgspec.structs.replace(row, bfd_status={"state": state})
        driver.switch.interfaces[row.uuid] = silent


async def test_ports_are_cut_off_when_their_uplink_is_silent_for_a_while() -> None:
    now = 100.0
    async with running("p1", clock=lambda: now) as (host, driver, _):
        await host.apply({"p1": ENDPOINT}, sweep=False)
        all_silent(driver)
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert wired.outcomes["p1"].status is WiringStatus.UP
        now += LOST_S
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert wired.outcomes["p1"] == WiringOutcome(
            status=WiringStatus.CUT_OFF,
            cause="bond0 on br-bond has no verified path by nic0, nic1",
        )
        all_silent(driver, "up")
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert wired.outcomes["p1"].status is WiringStatus.UP


async def test_what_stands_is_not_looked_at_again_unless_something_moved() -> None:
    async with running("p1") as (host, driver, _):
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        driver.is_quiet = True
        before = driver.converged
        assert await host.apply({"p1": ENDPOINT}, sweep=False) == wired
        assert await host.apply({"p1": ENDPOINT}, sweep=True) == wired  # there is nothing to sweep
        assert driver.converged == before
        driver.is_quiet = False
        assert await host.apply({"p1": ENDPOINT}, sweep=True) == wired
        assert driver.converged == before + 1


async def test_what_apply_took_up_is_not_converged_from_once_more() -> None:
    async with running("p1") as (host, driver, changed):
        driver.halted = asyncio.Event()
        applying = asyncio.create_task(host.apply({"p1": ENDPOINT}, sweep=False))
        await asyncio.sleep(0)
        before, driver.is_quiet = driver.converged, True  # as it is once `apply` has begun
        driver.event.set()
        await asyncio.sleep(0.01)
        assert driver.converged == before, "its turn comes when apply has ended"
        driver.halted.set()
        assert (await applying).outcomes["p1"].status is WiringStatus.UP
        await asyncio.sleep(0.01)
        assert driver.converged == before
        assert not changed.is_set()
        driver.is_quiet = False
        driver.event.set()
        await asyncio.wait_for(changed.wait(), 5)
        assert driver.converged == before + 1


async def test_an_uplink_that_is_lost_after_apply_took_a_change_up_is_told_of() -> None:
    """In the moment between what `apply` says of its ports and the loop's next look."""
    now = 100.0

    class Slow(SimDriver):
        async def at_rest(self) -> None:
            nonlocal now
            await super().at_rest()
            now += LOST_S / 2

    slow = Slow(SimSwitch())
    async with running("p1", clock=lambda: now, driver=slow) as (host, driver, changed):
        all_silent(driver)
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert wired.outcomes["p1"].status is WiringStatus.UP
        driver.is_quiet = True
        for _ in range(2):
            assert not changed.is_set()
            driver.event.set()
            await asyncio.sleep(0.01)
        await asyncio.wait_for(changed.wait(), 5)
        wired = await host.apply({"p1": ENDPOINT}, sweep=False)
        assert wired.outcomes["p1"].status is WiringStatus.CUT_OFF
        before = driver.converged
        await asyncio.sleep(0.01)
        assert driver.converged == before, "it is told once"


async def test_what_is_swept_or_wanted_anew_is_looked_at_though_nothing_moved() -> None:
    async with running("p1") as (host, driver, _):
        await host.apply({"p1": ENDPOINT}, sweep=False)
        driver.is_quiet = True
        assert (await host.apply({}, sweep=False)).standing == {"p1"}
        swept = await host.apply({}, sweep=True)
        assert not swept.standing
        again = await host.apply({"p1": ENDPOINT}, sweep=True)
        assert again.outcomes["p1"].status is WiringStatus.UP


async def test_what_was_cut_off_is_done_again() -> None:
    async with running("p1") as (host, driver, _):
        await host.apply({}, sweep=False)
        driver.is_quiet = True
        driver.halted = asyncio.Event()
        cut_off = asyncio.create_task(host.apply({"p1": ENDPOINT}, sweep=True))
        await asyncio.sleep(0)
        cut_off.cancel()
        await asyncio.wait([cut_off])
        driver.halted = None
        again = await host.apply({"p1": ENDPOINT}, sweep=True)
        assert again.outcomes["p1"].status is WiringStatus.UP


async def test_what_was_refused_is_tried_again() -> None:
    elsewhere = msgspec.structs.replace(
        ENDPOINT, segment=msgspec.structs.replace(SEGMENT, physical_network="physnet9")
    )
    async with running("p1") as (host, driver, _):
        refused = await host.apply({"p1": elsewhere}, sweep=False)
        assert refused.outcomes["p1"].status is WiringStatus.REFUSED
        driver.is_quiet = True
        before = driver.converged
        await host.apply({"p1": elsewhere}, sweep=False)
        assert driver.converged == before + 1


class PluggerDouble:
    async def plug(self, device: NewDevice) -> None: ...
    async def unplug(self, name: str, owner: str | None = None) -> None: ...


def ahead_of(port_id: str) -> NewDevice:
    return NewDevice(
        name=f"nwc-{port_id}",
        port_id=port_id,
        mac_address="",
        mtu=1500,
        owner="c@eth0",
        beside="p0",
    )


@pytest.mark.parametrize("is_told_first", [False, True])
async def test_a_device_is_awaited_until_its_port_is_told_or_it_goes(
    *, is_told_first: bool
) -> None:
    """The server may answer before the device is plugged: then it is planned for, as any other."""
    driver = SimDriver(SimSwitch())
    driver.plugger = PluggerDouble()  # type: ignore[assignment]
    host = OvsHost(driver)
    if is_told_first:
        await host.apply({"p1": ENDPOINT}, sweep=True)
        await host.plug(ahead_of("p1"))
        assert driver.awaited == frozenset()
        return
    await host.plug(ahead_of("p1"))
    await host.plug(ahead_of("p2"))
    assert driver.awaited == {"p1", "p2"}
    await host.apply({"p1": ENDPOINT}, sweep=True)
    assert driver.awaited == {"p2"}
    driver.noted = 0
    await host.unplug("nwc-p2")
    assert driver.awaited == frozenset()
    assert driver.noted == 1, "what it held is looked at, though its rows went unheeded"
