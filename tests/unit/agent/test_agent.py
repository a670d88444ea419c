"""The loop's promises, one at a time, in virtual time (tests/sim mixes them all)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from tests.doubles import virtual_time
from tests.doubles.server import ServerDouble
from tests.doubles.values import network, port
from tests.doubles.wiring import WiringDouble

from netwright.agent.agent import ANSWERED_LATE_S, ANSWERED_S, HEARD_S, NOT_WIRED_NAMED_MAX, Agent
from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.agent.session import Identity
from netwright.agent.wiring import Endpoint, Wired
from netwright.model.errors import StaleEpoch, Unauthenticated, Unavailable
from netwright.model.resources import Nic, Port
from netwright.model.states import BindingState
from netwright.model.wire import DeviceAnswers, DevicesSeen, HostRegistration

IDENTITY = Identity(
    host="h1", epoch="first", driver="double", physical_networks={"physnet1": "br-bond"}
)


class HangingWiring(WiringDouble):
    """Its data plane takes for ever."""

    async def apply(
        self,
        desired: Mapping[str, Endpoint],
        *,
        sweep: bool,
        memberships: Memberships = NO_MEMBERSHIPS,
    ) -> Wired:
        await asyncio.sleep(1e9)
        return await super().apply(desired, sweep=sweep, memberships=memberships)


def server_with(*ports: Port, bound_to: str = "h1") -> ServerDouble:
    server = ServerDouble([network()])
    for one in ports:
        server.put(one)
        if bound_to:
            server.bind(one.id, bound_to)
    return server


@asynccontextmanager
async def running(server: ServerDouble, wiring: WiringDouble) -> AsyncIterator[asyncio.Task[None]]:
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    task: asyncio.Task[None] = asyncio.create_task(agent.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, StaleEpoch):
            await task


def simulated(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        await test()

    def run() -> None:
        virtual_time.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def state_of(server: ServerDouble, port_id: str) -> BindingState:
    (binding,) = server.ports[port_id].bindings
    return binding.state


@simulated
async def test_a_bound_port_comes_up_when_its_device_is_plugged() -> None:
    server, wiring = server_with(port("p")), WiringDouble()
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert state_of(server, "p") is BindingState.PREPARING
        wiring.plug("p")
        await asyncio.sleep(0.01)
        assert state_of(server, "p") is BindingState.UP


@simulated
async def test_a_restarted_agent_adopts_what_stands_and_sweeps_the_rest() -> None:
    removed: list[str] = []
    wiring = WiringDouble(removed=lambda port_id, _: removed.append(port_id))
    server = server_with(port("stays"), port("goes"))
    wiring.plug("stays")
    wiring.plug("goes")
    async with running(server, wiring):
        await asyncio.sleep(1)
    made_at = wiring.standing["stays"].made_at
    server.delete("goes")
    async with running(server, wiring):
        await asyncio.sleep(1)
    assert removed == ["goes"]
    assert wiring.standing["stays"].made_at == made_at
    assert "goes" not in server.ports


@simulated
async def test_nothing_is_touched_before_the_server_was_heard() -> None:
    class Silent(ServerDouble):
        async def register_host(self, name: str, registration: object) -> None:
            await asyncio.sleep(1e9)

    wiring = WiringDouble()
    async with running(server_with(port("p")), wiring):
        wiring.plug("p")
        await asyncio.sleep(1)
        assert "p" in wiring.standing
    async with running(Silent([network()]), wiring):
        await asyncio.sleep(300)
    assert "p" in wiring.standing


@simulated
async def test_a_newer_life_ends_the_agent() -> None:
    server = server_with(port("p"))
    async with running(server, WiringDouble()) as task:
        await asyncio.sleep(1)
        server.epochs["h1"] = "second"
        with pytest.raises(StaleEpoch, match="registered anew"):
            await task


@simulated
async def test_a_server_that_was_set_up_anew_gets_the_host_again() -> None:
    server = server_with(port("p"))
    async with running(server, WiringDouble()):
        await asyncio.sleep(1)
        server.epochs.clear()
        await asyncio.sleep(10)
        assert server.epochs == {"h1": "first"}


@simulated
async def test_heartbeats_go_on_while_the_data_plane_hangs_and_tell_of_it() -> None:
    server = server_with(port("p"))
    async with running(server, HangingWiring()):
        await asyncio.sleep(100)
    assert len(server.heartbeats) >= 20
    told = [beat.conditions for _, beat in server.heartbeats if beat.conditions]
    assert "took longer than 60 s" in told[-1]["wiring failed"]


@simulated
async def test_a_refused_port_fails_alone_with_its_cause_and_is_tried_again() -> None:
    server, wiring = server_with(port("bad"), port("good")), WiringDouble()
    wiring.refusing = {"bad": "no such queue"}
    wiring.plug("bad")
    wiring.plug("good")
    async with running(server, wiring):
        await asyncio.sleep(120)
        assert state_of(server, "good") is BindingState.UP
        assert state_of(server, "bad") is BindingState.REFUSED
        assert server.ports["bad"].bindings[0].cause == "no such queue"
        assert wiring.applied < 20, "it backs off"
        wiring.refusing = {}
        await asyncio.sleep(60)
        assert state_of(server, "bad") is BindingState.UP


@simulated
async def test_a_binding_of_what_is_wired_ahead_costs_no_change_of_the_data_plane() -> None:
    server, wiring = server_with(port("p"), bound_to=""), WiringDouble()
    wiring.plug("p")
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert "p" in wiring.standing
        applied = wiring.applied
        server.bind("p", "h1")
        await asyncio.sleep(0.01)
        assert state_of(server, "p") is BindingState.UP
        assert wiring.applied == applied
        wiring.unplug("p")
        await asyncio.sleep(0.01)
        assert state_of(server, "p") is BindingState.DOWN


@simulated
async def test_a_nic_that_changes_is_told_at_once_and_once() -> None:
    server, wiring = server_with(), WiringDouble()
    async with running(server, wiring):
        await asyncio.sleep(1)
        heard = len(server.heartbeats)
        wiring.nics_are(Nic(name="eth1", link_up=False, forwarding=False))
        await asyncio.sleep(0.01)
        (_, beat) = server.heartbeats[heard]
        assert beat.nics == (Nic(name="eth1", link_up=False, forwarding=False),)
        await asyncio.sleep(20)
        assert all(later.nics is None for _, later in server.heartbeats[heard + 1 :])


@simulated
async def test_after_each_connection_the_whole_set_is_told() -> None:
    server, wiring = server_with(port("p")), WiringDouble()
    wiring.plug("p")
    async with running(server, wiring):
        await asyncio.sleep(1)
    (whole,) = [batch for batch in server.batches if batch.full_set_at is not None]
    assert [report.port_id for report in whole.reports] == ["p"]


@simulated
async def test_its_state_names_what_is_not_wired_and_is_bounded() -> None:
    many = [f"p{n:02}" for n in range(NOT_WIRED_NAMED_MAX + 5)]
    server, wiring = server_with(*(port(one) for one in many), port("well")), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    assert agent.state()["registered"] is False
    task = asyncio.create_task(agent.run())
    for one in many:
        wiring.refusing[one] = "no such bridge"
    for one in (*many, "well"):
        wiring.plug(one)
    await asyncio.sleep(5)
    state = agent.state()
    task.cancel()
    await asyncio.wait([task])
    assert (state["registered"], state["ports"], state["wired"]) == (True, len(many) + 1, 1)
    assert state["not_wired_count"] == len(many)
    assert state["not_wired"] == [
        f"{one}: refused no such bridge" for one in many[:NOT_WIRED_NAMED_MAX]
    ]


@simulated
async def test_a_refused_token_is_told_once_a_minute_by_whichever_errand() -> None:
    class Refusing(ServerDouble):
        async def heartbeat(self, name: str, heartbeat: object) -> None:
            raise Unauthenticated("The token is not known here.")

        async def devices_seen(self, name: str, devices: object) -> DeviceAnswers:
            raise Unauthenticated("The token is not known here.")

    wiring = WiringDouble()
    wiring.plug("stranger")
    with capture_logs() as logs:
        async with running(Refusing([network()]), wiring):
            await asyncio.sleep(115)
    told = [one for one in logs if "token" in f"{one}"]
    assert [one["event"] for one in told] == ["the server refuses this host's token"] * 2


@simulated
async def test_what_happens_to_ports_leaves_a_line_a_pass() -> None:
    server, wiring = server_with(port("p"), port("q")), WiringDouble()
    with capture_logs() as logs:
        async with running(server, wiring):
            wiring.plug("p")
            wiring.plug("stranger")
            await asyncio.sleep(1)
            wiring.nics_are(Nic(name="eth0", link_up=False))
            server.delete("p")
            await asyncio.sleep(1)
    told = [one["event"] for one in logs]
    assert [one for one in told if "wired" in one or "withdrawn" in one] == [
        "ports wired",
        "devices not wired",
        "ports withdrawn",
        "devices not wired",  # the deleted port's is plugged still
    ]
    assert "uplink NIC has no path" in told


@simulated
async def test_who_follows_the_loop_is_told_of_each_pass_and_of_what_keeps_it_from_working() -> (
    None
):
    class Away(ServerDouble):
        is_away = True

        async def register_host(self, name: str, registration: HostRegistration) -> None:
            if self.is_away:
                raise Unavailable("nobody answers there")
            await super().register_host(name, registration)

    server, wiring = Away([network()]), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    passes: list[frozenset[str]] = []

    def passed() -> None:
        passes.append(frozenset(agent.last.wired.outcomes if agent.last else ()))

    agent.on_pass = passed
    assert agent.server_trouble() == "this host is not registered yet"
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    assert agent.server_trouble() == "nobody answers there"
    server.is_away = False
    server.put(port("p"))
    server.bind("p", "h1")
    await asyncio.sleep(30)
    assert (agent.server_trouble(), agent.wiring_trouble()) == ("", "")
    await agent.registered()
    wiring.plug("p")
    await asyncio.sleep(1)
    assert passes[-1] == {"p"}
    wiring.out_of_order = "Open vSwitch is away"
    wiring.unplug("p")
    await asyncio.sleep(1)
    assert "Open vSwitch is away" in agent.wiring_trouble()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def reported_after(answered_s: float) -> float:
    """How long the server waits to hear of a port, of whose host somebody is answered by then."""
    server, wiring = server_with(port("p")), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    now = asyncio.get_running_loop().time
    since = now()
    agent.is_answering = lambda: now() < since + answered_s
    wiring.plug("p")
    while state_of(server, "p") is not BindingState.UP:
        assert now() < since + 1
        await asyncio.sleep(ANSWERED_S / 5)
    task.cancel()
    return now() - since


@simulated
async def test_who_waits_on_this_host_goes_before_the_servers_report() -> None:
    assert await reported_after(0.0) < ANSWERED_S
    assert ANSWERED_S * 2 <= await reported_after(ANSWERED_S * 1.5) < ANSWERED_S * 3


@simulated
async def test_the_server_hears_of_it_though_somebody_waits_for_long() -> None:
    assert ANSWERED_LATE_S <= await reported_after(10.0) < ANSWERED_LATE_S * 2


@simulated
async def test_a_report_that_waits_lets_an_end_overtake_it() -> None:
    """And is told with it: nothing waits any more."""
    server, wiring = server_with(port("p"), port("q")), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    wiring.plug("p")
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    agent.is_answering = lambda: True
    wiring.plug("q")
    await asyncio.sleep(ANSWERED_S * 1.5)
    assert state_of(server, "q") is not BindingState.UP
    server.bind("p", "h2")
    await asyncio.sleep(HEARD_S + ANSWERED_S)
    assert state_of(server, "q") is BindingState.UP
    task.cancel()


@simulated
async def test_the_server_hears_of_a_nic_at_once_though_nothing_can_be_wired() -> None:
    server, wiring = server_with(port("p")), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    wiring.out_of_order = "Open vSwitch is away"
    lost = Nic(name="nic0", link_up=False, forwarding=False, active=False)
    wiring.nics_are(lost)
    await asyncio.sleep(0.1)
    assert server.heartbeats[-1][1].nics == (lost,)
    task.cancel()


@simulated
async def test_an_end_is_reported_though_somebody_waits() -> None:
    """Another host may be held back until it is told."""
    server, wiring = server_with(port("p")), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    wiring.plug("p")
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    assert state_of(server, "p") is BindingState.UP
    agent.is_answering = lambda: True
    server.bind("p", "h2")
    await asyncio.sleep(HEARD_S + ANSWERED_S)
    left = server.ports["p"].binding_on("h1")
    assert left is None or left.state is BindingState.WITHDRAWN
    task.cancel()


class BesideDouble:
    def conditions(self) -> Mapping[str, str]:
        return {}

    def state(self) -> Mapping[str, object]:
        return {}


@pytest.mark.parametrize("has_containers", [False, True])
def test_answers_are_heard_before_the_pass_for_what_the_watch_told(*, has_containers: bool) -> None:
    virtual_time.run(_told_of_a_port(has_containers=has_containers))


async def _told_of_a_port(*, has_containers: bool) -> None:
    server = server_with()
    agent = Agent(IDENTITY, server, WiringDouble(), jitter=lambda: 0.5)
    agent.beside = BesideDouble() if has_containers else None
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    server.put(port("p"))
    server.bind("p", "h1")
    await asyncio.sleep(HEARD_S / 2)
    assert agent.last is not None
    assert "p" in agent.mirror.ports
    assert ("p" not in agent.last.ports) is has_containers
    await asyncio.sleep(HEARD_S)
    assert "p" in agent.last.ports
    task.cancel()


@simulated
async def test_an_awaited_device_is_not_asked_about_and_wired_when_its_port_is_told() -> None:
    class Counting(ServerDouble):
        asked: int = 0

        async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers:
            self.asked += 1
            return await super().devices_seen(name, devices)

    server, wiring = Counting([network()]), WiringDouble()
    agent = Agent(IDENTITY, server, wiring, jitter=lambda: 0.5)
    agent.beside = BesideDouble()
    agent.is_awaited = lambda port_id: port_id == "p"
    task = asyncio.create_task(agent.run())
    await asyncio.sleep(1)
    wiring.plug("p")
    await asyncio.sleep(10)
    assert server.asked == 0
    server.put(port("p"))
    server.bind("p", "h1")
    await asyncio.sleep(HEARD_S / 2)
    assert agent.last is not None
    assert "p" in agent.last.wired.outcomes
    wiring.plug("q")
    await asyncio.sleep(1)
    assert server.asked > 0
    task.cancel()
