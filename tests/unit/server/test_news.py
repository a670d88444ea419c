"""What happened, as an operator reads it in the log: from two states to lines."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, register
from tests.doubles.values import binding, port

from netwright.model.conditions import FENCED
from netwright.model.resources import Host, HostState, Port
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.states import PortState
from netwright.model.wire import Heartbeat
from netwright.server.commands import (
    DeleteHost,
    FenceHost,
    HeartbeatHost,
    RegisterHost,
    Tick,
    UnfenceHost,
)
from netwright.server.core import Core
from netwright.server.news import PORTS_NAMED_MAX, Line, of_floating, of_host, of_ports

NOW = 2_000.0


def host(state: HostState = HostState.UP, **fields: Any) -> Host:
    defaults: dict[str, Any] = {"epoch": "life1", "state_since": 1_900.0, "heard_at": 1_984.0}
    return Host(name="h1", driver="ovs", state=state, **(defaults | fields))


def told(old: Host | None, new: Host | None) -> list[tuple[str, Mapping[str, object]]]:
    lines = of_host("h1", old, new, NOW)
    return [
        (line.event, {key: value for key, value in line.fields.items() if key != "host"})
        for line in lines
    ]


def test_a_host_registers_and_registers_anew() -> None:
    what = {"epoch": "life1", "driver": "ovs", "physical_networks": ["p1"]}
    new = host(physical_networks={"p1": "br-p1"})
    assert told(None, new) == [("host registered", what)]
    assert told(host(epoch="life0"), new) == [("host registered anew", what)]
    assert told(new, new) == []


def test_a_silent_host_that_registers_anew_is_heard_again_too() -> None:
    silent = host(HostState.UNKNOWN, epoch="life0")
    assert [event for event, _ in told(silent, host())] == [
        "host registered anew",
        "host is heard again",
    ]


def test_silence_is_told_with_how_long_it_lasted() -> None:
    silent = host(HostState.UNKNOWN, state_since=1_950.0)
    (line,) = of_host("h1", host(), silent, NOW)
    assert line == Line(
        "host fell silent",
        {"host": "h1", "unheard_s": 16.0, "next": "look at its agent there"},
        is_warning=True,
    )
    assert told(silent, host()) == [("host is heard again", {"silent_s": 50.0})]


def test_a_fence_is_told_with_its_reason_and_its_end_with_how_long_it_stood() -> None:
    fenced = host(HostState.FENCED, conditions={FENCED: "burnt"})
    assert told(host(HostState.UNKNOWN), fenced) == [("host fenced", {"reason": "burnt"})]
    assert told(fenced, host(HostState.UNKNOWN)) == [("host unfenced", {"fenced_s": 100.0})]


def test_a_deleted_host_is_told_of() -> None:
    assert told(host(), None) == [("host deleted", {})]
    assert told(None, None) == []


def test_a_condition_is_told_when_it_begins_changes_and_ends() -> None:
    name = "redundancy lost"
    begun = host(conditions={name: "eth1"}, conditions_since={name: 1_940.0})
    worse = host(conditions={name: "eth0, eth1"}, conditions_since={name: 1_940.0})
    assert told(host(), begun) == [
        ("host condition began", {"condition": name, "why": "eth1"}),
    ]
    assert told(begun, worse) == [
        ("host condition changed", {"condition": name, "why": "eth0, eth1"}),
    ]
    assert told(worse, host()) == [
        ("host condition ended", {"condition": name, "lasted_s": 60.0}),
    ]


def test_an_agents_words_make_one_bounded_line() -> None:
    ((_, what),) = told(host(), host(conditions={"odd": "a\n2026 [error] " + "x" * 10_000}))
    why = what["why"]
    assert isinstance(why, str)
    assert why.startswith("a 2026 [error] x")
    assert len(why) < 600


def failing(state: PortState, port_id: str = "p1") -> Port:
    return port(port_id, binding("h1"), state=state, cause="no such VLAN")


def test_a_port_is_told_of_when_it_fails_and_when_it_recovers() -> None:
    well, ill = failing(PortState.ACTIVE), failing(PortState.ERROR)
    what = {"port": "p1", "network": "net-1", "host": "h1"}
    assert list(of_ports([(well, ill)])) == [
        Line(
            "port failed",
            {**what, "state": "ERROR", "before": "ACTIVE", "cause": "no such VLAN"},
            is_warning=True,
        )
    ]
    assert list(of_ports([(ill, well)])) == [
        Line("port recovered", {**what, "state": "ACTIVE", "before": "ERROR"})
    ]
    assert [line.event for line in of_ports([(ill, failing(PortState.WIRING))])] == ["port changed"]


def test_ports_in_good_order_are_not_told_of() -> None:
    wiring, active = failing(PortState.WIRING), failing(PortState.ACTIVE)
    assert list(of_ports([(None, wiring), (wiring, active), (active, None)])) == []
    still = failing(PortState.ERROR)
    assert list(of_ports([(still, still), (still, None)])) == []


def test_of_many_ports_some_are_named_and_the_others_counted() -> None:
    many = [
        (failing(PortState.ACTIVE, f"p{n}"), failing(PortState.DEGRADED, f"p{n}"))
        for n in range(500)
    ]
    lines = list(of_ports(many))
    assert len(lines) == PORTS_NAMED_MAX + 1
    assert lines[-1] == Line("more ports changed", {"DEGRADED": 480}, is_warning=True)


def test_a_batch_tells_what_it_made_of_what_was_there(place: Place) -> None:
    store = Store(place)
    store.do(register("h1"))
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",), heard={"h1": 990.0}))
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",), heard={"h1": 990.0}))  # no news
    beat = Heartbeat(epoch="life1", conditions={"uplink lost": "eth0"})
    store.do(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=beat))
    store.do(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    store.do(DeleteHost(caller=ADMIN, host="h1"))
    store.close()
    assert [line.event for line in store.news] == [
        "host registered",
        "host fell silent",
        "host is heard again",
        "host condition began",
        "host fenced",
        "host unfenced",
        "host deleted",
    ]


def test_floating_ips_that_lead_nowhere_are_told_of_once() -> None:
    free = FloatingIp(
        id="f", project_id="p", floating_network_id="n", floating_ip_address="203.0.113.9",
        floating_port_id="h",
    )  # fmt: skip
    led = replace(free, port_id="vm", status=FloatingStatus.ERROR, cause="no\nNAT")
    told = {"floating_ip": "f", "address": "203.0.113.9", "port": "vm", "cause": "no NAT"}
    assert list(of_floating([(free, led)])) == [Line("floating IP failed", told, is_warning=True)]
    assert list(of_floating([(None, free), (led, led), (led, free), (led, None)])) == []
    *named, rest = of_floating([(None, led)] * (PORTS_NAMED_MAX + 3))
    assert (len(named), rest.fields) == (PORTS_NAMED_MAX, {"number": 3})


async def test_what_is_committed_is_logged_once(database_url: str) -> None:
    core = await Core.open(database_url)
    try:
        await core.start()
        registration = register("h1")
        assert isinstance(registration, RegisterHost)
        with capture_logs() as logs:
            await core.commit(registration)
            await core.commit(registration)
            await core.commit(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    finally:
        await core.close()
    assert [(one["log_level"], one["event"]) for one in logs] == [
        ("info", "host registered"),
        ("warning", "host fenced"),
    ]
