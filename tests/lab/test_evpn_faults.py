"""What dies in a fabric, and what becomes of traffic, ports and words: DESIGN's failure table.

Pings are 10 ms apart, and their losses counted; after each fault all is well again by itself.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lab.evpn import SETTLED_S, Evpn, broken, evpn_lab

from netwright.lab import faults, links, probe, processes, services, start
from netwright.lab.broken import Fault
from netwright.lab.broken import broken as broken_in
from netwright.lab.nodes import frr
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.model.fabric import SwitchState
from netwright.model.resources import Attachment, Port
from netwright.model.states import AttachmentState, PortState

pytestmark = pytest.mark.lab

BFD_LOST_MAX = 50
"""Half a second at 10 ms: BFD has 0.3 s, and routes must move."""

ISOLATED_LOST_MAX = 200
"""The leaf says within a second that no session is left; then its host ports go down."""

CARRIER_LOST_MAX = 50
"""Of a bond that sees its carrier go; the fabric learns of the MAC's move by what it says next."""

TAKEN_OVER_S = 10.0
SOON_S = 20.0


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    """`red` has no gateway; what a test breaks it mends."""
    with evpn_lab(lab_root, "x") as evpn:
        evpn.create_network("red", "10.150.0.0/24")
        yield evpn


@pytest.fixture(scope="module")
def pair(evpn: Evpn) -> list[Spawned]:
    return evpn.spawn("red", near="host1", far="host3")


@contextmanager
def pings(evpn: Evpn, pair: list[Spawned], what: str, count: int = 200) -> Iterator[list[int]]:
    """How many were lost of those sent from within the block until a while after it."""
    near, far = pair
    lost: list[int] = []
    with probe.pinging(evpn.lab, near.instance.id, far.address(), count=count) as run:
        yield lost
        lost.append(run.finish().lost)
    sys.stdout.write(f"{what}: {lost[0]} of {count} pings lost\n")


@contextmanager
def mended(evpn: Evpn, *what: str) -> Iterator[None]:
    """What the block breaks is mended in the end."""
    try:
        yield
    finally:
        for each in what:
            faults.heal(evpn.lab, each)


def cables_of(evpn: Evpn, node: str, *others: str) -> list[str]:
    return [f"link:{node}-{other}" for other in others]


def has_redundancy(evpn: Evpn, name: str) -> bool:
    return "redundancy lost" not in evpn.host(name).conditions


@pytest.mark.parametrize(
    ("spine", "silent"), [("spine1", True), ("spine2", True), ("spine2", False)]
)
def test_a_spine_goes(evpn: Evpn, pair: list[Spawned], spine: str, *, silent: bool) -> None:
    """One of the two carries the pings, whichever it is."""
    leaves = ("leaf1", "leaf2", "leaf3", "leaf4", "border1")
    what = cables_of(evpn, spine, *leaves) if silent else [f"node:{spine}"]
    with mended(evpn, *what):
        with pings(evpn, pair, f"{spine} {'silent' if silent else 'dead'}") as lost:
            for each in what:
                faults.fail(evpn.lab, each, silent=silent)
        assert lost[0] <= BFD_LOST_MAX
        assert {evpn.status(one) for one in pair} == {"ACTIVE"}
        assert has_redundancy(evpn, "host1")
    evpn.await_well()


def test_a_nic_goes_and_its_mac_moves_to_the_other_leaf(evpn: Evpn, pair: list[Spawned]) -> None:
    near, _ = pair
    was = evpn.leaf_in_use("host1")
    with (
        mended(evpn, f"link:{was}-host1"),
        pings(evpn, pair, f"NIC to {was} dead") as lost,
    ):
        faults.fail(evpn.lab, f"link:{was}-host1")
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
        now = frr.fabric_switch(evpn.lab, evpn.leaf_in_use("host1")).speaker.loopback
        assert eventually(lambda: evpn.vtep_of("leaf3", "red", near) == now, SOON_S)
        assert eventually(lambda: not has_redundancy(evpn, "host1"), SOON_S)
        assert eventually(
            lambda: was in evpn.host("host1").conditions.get("leaf links", ""), SOON_S
        ), evpn.host("host1").conditions
        assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    assert lost[0] <= CARRIER_LOST_MAX
    evpn.await_well()
    assert (
        evpn.vty("leaf3", "zebra", f"show evpn mac vni {evpn.vni('red')} duplicate").strip() == ""
    )


def test_a_nic_falls_silent_and_its_mac_moves_to_the_other_leaf(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    was = evpn.leaf_in_use("host1")
    link = f"link:{was}-host1"
    with mended(evpn, link), pings(evpn, pair, f"NIC to {was} silent") as lost:
        faults.fail(evpn.lab, link, silent=True)
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
        assert eventually(lambda: not has_redundancy(evpn, "host1"), SOON_S)
        assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    assert lost[0] <= BFD_LOST_MAX
    evpn.await_well()


def test_a_host_without_any_path_has_its_ports_degraded_until_one_is_back(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    near, far = pair
    with broken(evpn, "link:leaf1-host1", "link:leaf2-host1", silent=True):
        assert eventually(lambda: evpn.status(near) == "DOWN", SOON_S)
        said = evpn.cli("port", "explain", near.instance.id).stdout
        assert "DEGRADED" in said, said
        assert "no verified path by eth0, eth1" in said, said
        assert "stops no port" not in said, said
        assert evpn.status(far) == "ACTIVE"
    evpn.await_well()
    assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    assert probe.ping(evpn.lab, near.instance.id, far.address()).lost == 0


@pytest.mark.parametrize("silent", [False, True])
def test_a_leaf_that_no_other_switch_hears_sends_its_hosts_to_the_other(
    evpn: Evpn, pair: list[Spawned], *, silent: bool
) -> None:
    was = evpn.leaf_in_use("host1")
    namespace, port = evpn.lab.namespace(was), f"host1-{'eth0' if was == 'leaf1' else 'eth1'}"
    what = cables_of(evpn, was, "spine1", "spine2")
    with evpn.watching() as watching:
        with mended(evpn, *what):
            how = "silently isolated" if silent else "isolated"
            with pings(evpn, pair, f"{was} {how}", 500) as lost:
                for each in what:
                    faults.fail(evpn.lab, each, silent=silent)
                assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
            assert lost[0] <= ISOLATED_LOST_MAX
            said = watching.await_value(
                SwitchState, lambda one: one.name == was and one.status == "isolated", SOON_S
            )
            assert "no other switch hears it" in said.cause
            assert port in links.interfaces_down(namespace)
            assert eventually(lambda: not has_redundancy(evpn, "host1"), SOON_S)
            assert probe.ping(evpn.lab, pair[0].instance.id, pair[1].address()).lost == 0
        with pings(evpn, pair, f"{was} is back") as lost:
            assert eventually(lambda: port not in links.interfaces_down(namespace), SOON_S)
        assert lost[0] == 0
    assert {one.state for _, one in watching.values(Port)} <= {PortState.ACTIVE}
    evpn.await_well()


def test_a_leaf_whose_bgpd_is_dead_sends_its_hosts_to_the_other(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    was = evpn.leaf_in_use("host1")
    with pings(evpn, pair, f"{was}'s bgpd dead", 500) as lost:
        faults.fail(evpn.lab, f"process:{was}/bgpd")
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
    assert lost[0] <= ISOLATED_LOST_MAX
    assert eventually(lambda: evpn.switch(was)["status"] == "isolated", SOON_S)
    assert "bgpd does not answer" in evpn.switch(was)["cause"]
    assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    with pings(evpn, pair, f"{was}'s bgpd is back", 500) as lost:
        faults.heal(evpn.lab, f"process:{was}/bgpd")
        assert eventually(lambda: evpn.switch(was)["status"] == "in_sync", SETTLED_S)
    assert lost[0] <= CARRIER_LOST_MAX  # 0 in most runs
    evpn.await_well()


def test_a_cable_that_is_pulled_from_a_held_port_stays_pulled(evpn: Evpn) -> None:
    def is_held() -> bool:
        return "host1-eth0" in links.interfaces_down(evpn.lab.namespace("leaf1"))

    with mended(evpn, "nic:host1/eth0"):
        with mended(evpn, "process:leaf1/bgpd"):
            faults.fail(evpn.lab, "process:leaf1/bgpd")
            assert eventually(is_held, SOON_S)
            faults.fail(evpn.lab, "nic:host1/eth0")
        assert eventually(lambda: evpn.switch("leaf1")["status"] == "in_sync", SETTLED_S)
        assert eventually(lambda: not is_held(), SETTLED_S)
        assert broken_in(evpn.lab) == (Fault("nic:host1/eth0", silent=False),)
    evpn.await_well()
    assert broken_in(evpn.lab) == ()


def test_a_leaf_that_somebody_has_stop_announcing_says_what_is_missing(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    was = evpn.leaf_in_use("host1")
    asn = frr.fabric_switch(evpn.lab, was).speaker.asn
    family = ("configure terminal", f"router bgp {asn}", "address-family l2vpn evpn")
    evpn.vty(was, "bgpd", *family, "no advertise-all-vni", "end")
    try:
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
        assert eventually(lambda: "`advertise-all-vni` is gone" in evpn.switch(was)["cause"], 5.0)
        near, far = pair
        assert eventually(
            lambda: probe.ping(evpn.lab, near.instance.id, far.address()).lost == 0, SOON_S
        )
    finally:
        evpn.vty(was, "bgpd", *family, "advertise-all-vni", "end")
    evpn.await_well()


def test_a_leaf_that_lost_one_of_its_sessions_says_so(evpn: Evpn) -> None:
    with broken(evpn, "link:leaf1-spine1"):
        assert eventually(lambda: "no EVPN session by up0" in evpn.switch("leaf1")["cause"], 5.0)
        assert evpn.switch("leaf1")["status"] == "in_sync"
    evpn.await_well()
    assert eventually(lambda: "no EVPN session" not in evpn.switch("leaf1")["cause"], 10.0)


def test_a_leaf_falls_silent(evpn: Evpn, pair: list[Spawned]) -> None:
    """Nothing leaves it any more, while every carrier stays."""
    was = evpn.leaf_in_use("host1")
    with mended(evpn, f"node:{was}"), pings(evpn, pair, f"{was} silent") as lost:
        faults.fail(evpn.lab, f"node:{was}", silent=True)
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
    assert lost[0] <= BFD_LOST_MAX
    evpn.await_well()


def test_a_leaf_dies_and_comes_back_empty(evpn: Evpn, pair: list[Spawned]) -> None:
    was = evpn.leaf_in_use("host1")
    namespace = evpn.lab.namespace(was)
    port = f"host1-{'eth0' if was == 'leaf1' else 'eth1'}"
    with pings(evpn, pair, f"{was} dead") as lost:
        faults.fail(evpn.lab, f"node:{was}")
        assert eventually(lambda: evpn.has_left(was, "host1"), SOON_S)
    assert lost[0] <= CARRIER_LOST_MAX
    assert eventually(lambda: evpn.switch(was)["status"] == "unreachable", SOON_S)
    assert eventually(lambda: not has_redundancy(evpn, "host1"), SOON_S)
    assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    with evpn.watching() as watching, pings(evpn, pair, f"{was} boots", 400) as lost:
        faults.heal(evpn.lab, f"node:{was}")
        assert port in links.interfaces_down(namespace)
        watching.await_value(
            SwitchState, lambda one: one.name == was and one.status == "applying", SOON_S
        )
        assert eventually(lambda: port not in links.interfaces_down(namespace), 60.0)
        # What a bond may trust then: everything is there.
        assert str(evpn.vni("red")) in evpn.vty(was, "zebra", "show evpn vni")
        assert eventually(lambda: has_redundancy(evpn, "host1"), SOON_S)
    assert lost[0] == 0
    # The other leaf has carried it all the while.
    assert {one.state for _, one in watching.values(Attachment)} <= {AttachmentState.UP}
    assert {one.state for _, one in watching.values(Port)} <= {PortState.ACTIVE}
    evpn.await_well()


def test_both_leaves_die_and_ports_are_degraded_until_they_are_back(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    near, far = pair
    with broken(evpn, "node:leaf1", "node:leaf2"):
        assert eventually(lambda: evpn.status(near) == "DOWN", SOON_S)
        said = evpn.cli("port", "explain", near.instance.id).stdout
        assert "DEGRADED" in said, said
        assert all(leaf in said for leaf in ("leaf1", "leaf2")), said
        assert evpn.status(far) == "ACTIVE"
    evpn.await_well()
    assert {evpn.status(one) for one in pair} == {"ACTIVE"}
    assert probe.ping(evpn.lab, near.instance.id, far.address()).lost == 0


def test_the_server_dies_and_comes_back_while_traffic_flows(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    with pings(evpn, pair, "server killed", 300) as lost, broken(evpn, "process:mgmt/server"):
        time.sleep(1.0)
    assert lost[0] == 0
    evpn.await_well()


def test_an_agent_restarts_while_traffic_flows(evpn: Evpn, pair: list[Spawned]) -> None:
    with pings(evpn, pair, "agent killed", 200) as lost, broken(evpn, "process:host1/agent"):
        time.sleep(0.5)
    assert lost[0] == 0
    start.await_hosts(evpn.nova, ["host1"])
    evpn.await_well()


def come_and_go(evpn: Evpn, network: str) -> list[Spawned]:
    """Ports while nobody configures switches: of `red`, and the first of another network."""
    (short,) = evpn.spawn("red", short="host1")  # all that it needs is there
    evpn.nova.end([short.instance.id])
    made = evpn.nova.spawn([Wanted("late", "host2", network)])
    assert evpn.status(made[0]) == "BUILD"
    return made


def test_a_controller_is_killed_and_comes_back(evpn: Evpn, pair: list[Spawned]) -> None:
    """Ports come and go meanwhile; a network that is new on its leaves waits, nothing else."""
    evpn.create_network("blue1", "10.151.0.0/24")
    with pings(evpn, pair, "controller killed", 300) as lost:
        with broken(evpn, "process:mgmt/fabric"):
            made = come_and_go(evpn, "blue1")
        evpn.nova.await_status(made)
    assert lost[0] == 0
    evpn.nova.end([made[0].instance.id])
    evpn.await_well()


def test_a_standby_takes_over_from_one_that_was_paused_and_may_not_write_again(
    evpn: Evpn, pair: list[Spawned]
) -> None:
    lab = evpn.lab
    evpn.create_network("blue2", "10.152.0.0/24")
    credential = evpn.nova.ask(lambda client: client.fabric_credential())
    standby = services.start_fabric_controller(lab, credential, name="standby")
    log = processes.log_path(lab, standby)
    assert eventually(lambda: "stands by" in log.read_text(), SOON_S)
    with pings(evpn, pair, "controller paused", 600) as lost:
        faults.fail(lab, "process:mgmt/fabric", silent=True)
        made = come_and_go(evpn, "blue2")
        began = time.monotonic()
        assert eventually(lambda: "event=active" in log.read_text(), TAKEN_OVER_S), log.read_text()
        sys.stdout.write(f"taken over after {time.monotonic() - began:.1f} s\n")
        evpn.nova.await_status(made)
        # It goes on with what it was told when it was halted: `blue2` is not of its plan.
        faults.heal(lab, "process:mgmt/fabric")
        vni = str(evpn.vni("blue2"))
        before = processes.log_path(lab, processes.find(lab, MANAGEMENT_NODE, "fabric"))
        assert eventually(lambda: "stands by" in before.read_text(), SOON_S), before.read_text()
        assert all(vni in evpn.vty(leaf, "zebra", "show evpn vni") for leaf in ("leaf1", "leaf2"))
    assert lost[0] == 0
    evpn.nova.end([made[0].instance.id])
    evpn.await_well()
    processes.stop(standby, signal.SIGTERM)  # it gives the lease back
    evpn.await_well()
