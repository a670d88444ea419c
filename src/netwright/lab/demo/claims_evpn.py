"""What the demo claims of the fabric stage: what it carries. What it survives: `claims_faults`."""

import time
from statistics import median

from netwright.lab import fabric_state, probe, sightings
from netwright.lab.demo import claims_faults
from netwright.lab.demo.stage import Claim, Scene, Stage, require
from netwright.lab.orchestrator import Wanted
from netwright.lab.state import Lab
from netwright.model.states import PortState

SHOP, TWIN = "shop", "twin"
TWIN_NETWORK = "twin-red"
SYNC_TIMEOUT_S = 30.0
_IPV6 = 6


def _fabric(stage: Stage) -> str:
    began = time.monotonic()
    names = _configured(stage.lab)
    in_sync = fabric_state.await_in_sync(stage.orchestrator, names, SYNC_TIMEOUT_S)
    require(in_sync, f"not all of {', '.join(names)} are as planned")
    return (
        f"{', '.join(names)}: read back as planned, {time.monotonic() - began:.1f} s after the"
        " controller started"
    )


def _vpcs(stage: Stage) -> str:
    """Two VPCs with the same prefixes; one of them has a way out into the VLAN stage."""
    nova = stage.orchestrator
    made = nova.create_networks()
    same = stage.lab.spec.fabric_networks["red"].gateways
    made.append(nova.create_fabric_network(TWIN_NETWORK, same))
    nova.create_vpc(SHOP, ["red", "yellow"], ["blue"])
    nova.create_vpc(TWIN, [TWIN_NETWORK])
    numbers = {str(one["name"]): one["provider:segmentation_id"] for one in made}
    return (
        f"VPC {SHOP}: red (VNI {numbers['red']}), yellow (VNI {numbers['yellow']}), a way out into"
        f" blue (VLAN {numbers['blue']}); VPC {TWIN}: {TWIN_NETWORK} (VNI {numbers[TWIN_NETWORK]}),"
        f" the same {same[0]} as red"
    )


def _instances(stage: Stage) -> str:
    wanted = [
        Wanted("web1", "host1", "red"),
        Wanted("web2", "host2", "red"),
        Wanted("web3", "host3", "red"),
        Wanted("db1", "host1", "yellow"),
        Wanted("db4", "host4", "yellow"),
        Wanted("twin1", "host1", TWIN_NETWORK),
        Wanted("twin3", "host3", TWIN_NETWORK),
        Wanted("metal", "metal1", "red"),
        Wanted("old", "vhost1", "blue"),
    ]
    made = stage.orchestrator.spawn(wanted)
    stage.orchestrator.await_status(made)
    stage.made |= {one.name: one for one in made}
    took = {one.name: _bound_to_active_s(stage, one.name) for one in made}
    fabric = sorted(s for name, s in took.items() if name != "old")
    return (
        f"{len(made)} ports ACTIVE; in the fabric {median(fabric):.1f} s (median) after they were"
        f" bound, {fabric[-1]:.1f} s at most, bare metal {took['metal']:.1f} s: all leaves got new"
        " VRFs and VNIs meanwhile"
    )


def _across_leaves(stage: Stage) -> str:
    said = [
        stage.tap_ping("web1", "web2"),
        stage.tap_ping("web1", "web3"),
        stage.tap_ping("web1", "web3", _IPV6),
        stage.tcp("web1", "web3"),
        stage.tap_ping("web3", "metal"),
        stage.tap_ping("metal", "web1", _IPV6),
        stage.tcp("metal", "web1"),
    ]
    return "; ".join(said)


def _between_networks(stage: Stage) -> str:
    said = [
        stage.tap_ping("web1", "db1"),
        stage.tap_ping("web1", "db4"),
        stage.tap_ping("web3", "db1", _IPV6),
        stage.tcp("web1", "db4", _IPV6),
        stage.tap_ping("metal", "db1"),
    ]
    return "; ".join(said)


def _gateways(stage: Stage) -> str:
    """The gateway's answer and its routing happen on the leaf; the spines never see the packets."""
    lab, gateway = stage.lab, stage.made["web1"].instance.gateways[0]
    said = []
    for name, host in (("web1", "host1"), ("web3", "host3")):
        leaf = fabric_state.port_in_use(lab, host).node
        seen = _fabric_nodes(lab, stage.place(name), gateway)
        require(seen == {leaf}, f"{gateway} answered {name} from {_named(seen)}, not from {leaf}")
        said.append(f"{gateway} answers {name} from {leaf}")
    leaf = fabric_state.port_in_use(lab, "host1").node
    seen = _fabric_nodes(lab, stage.place("web1"), stage.made["db1"].address())
    require(seen == {leaf}, f"web1 → db1, both on host1, went through {_named(seen)}, not {leaf}")
    holders = fabric_state.holders(lab, gateway)
    spines = set(lab.nodes("spine"))
    require(not spines & set(holders), f"{gateway} is on a spine: {', '.join(holders)}")
    require(set(lab.nodes("leaf")) <= set(holders), f"{gateway} is only on {', '.join(holders)}")
    return (
        f"{'; '.join(said)}; web1 → db1 on the same host turns round at {leaf}; {gateway} is on"
        f" {', '.join(holders)}, and on no spine"
    )


def _isolation(stage: Stage) -> str:
    """Instances of both VPCs have the same addresses, on the same hosts and leaves."""
    lab = stage.lab
    address = stage.made["web1"].address()
    require(address == stage.made["twin1"].address(), "web1 and twin1 have different addresses")
    nobody = address.rpartition(".")[0] + ".250"
    who_has = f"arp and arp[24:4] = {int.from_bytes(bytes(map(int, nobody.split('.')))):#x}"
    with (
        probe.capture(lab, stage.place("web3"), "eth0", who_has) as heard,
        probe.capture(lab, stage.place("twin1"), "eth0", who_has) as leaked,
        probe.capture(lab, stage.place("twin3"), "eth0", who_has) as leaked_far,
    ):
        probe.ping(lab, stage.place("web1"), nobody, count=5)
        control, twin = heard.stop(), leaked.stop() + leaked_far.stop()
    require(control > 0, "the control, web3, heard no broadcast in its own network")
    require(twin == 0, f"VPC {TWIN} heard {twin} broadcasts of VPC {SHOP}")
    echo = f"icmp[icmptype] = icmp-echo and dst host {address}"
    with (
        probe.capture(lab, stage.place("twin1"), "eth0", echo) as meant,
        probe.capture(lab, stage.place("web1"), "eth0", echo) as namesake,
    ):
        stage.tap_ping("twin3", "twin1")
        mine, other = meant.stop(), namesake.stop()
    require(mine > 0, f"twin1 heard nothing of the pings to {address}")
    require(other == 0, f"web1 heard {other} pings that were for twin1")
    return (
        f"broadcasts of web1: web3 heard {control}, twin1 and twin3 heard 0; pings of twin3 to"
        f" {address}: twin1 heard {mine}, web1, whose address that is too, heard 0"
    )


def _vlan_stage(stage: Stage) -> str:
    said = [
        stage.tap_ping("old", "web1"),
        stage.tap_ping("web1", "old"),
        stage.tap_ping("metal", "old", _IPV6),
        stage.tcp("db4", "old"),
    ]
    lab = stage.lab
    seen = sightings.ping_sightings(lab, stage.place("web1"), stage.made["old"].address())
    places = {one.place for one in seen}
    missing = {"border1", "core1"} - places
    require(not missing, f"web1 → old did not go through {_named(missing)}")
    return "; ".join([*said, "through border1 and core1, which the controller configured"])


def _fabric_nodes(lab: Lab, source: str, target: str) -> set[str]:
    """The switches of the fabric that see pings on their interfaces."""
    fabric = {one.speaker.node for one in lab.layout.fabric}
    return {one.place for one in sightings.ping_sightings(lab, source, target)} & fabric


def _bound_to_active_s(stage: Stage, name: str) -> float:
    """By the server's record of the port's life."""
    history = stage.orchestrator.history(str(stage.made[name].port["id"]))
    bound = next(one.at for one in history if one.event == "bind")
    return next(one.at for one in history if one.to_state is PortState.ACTIVE) - bound


def _configured(lab: Lab) -> list[str]:
    return [*(one.speaker.node for one in lab.layout.fabric), *lab.nodes("router")]


def _named(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nowhere in the fabric"


FABRIC = Claim("A spine-leaf fabric is up, and nobody configured a switch", _fabric)

SCENE = Scene(
    (
        FABRIC,
        Claim("Networks of the fabric, and two VPCs with the same subnets", _vpcs),
        Claim("Instances and bare metal get addresses, and the fabric opens their way", _instances),
        Claim("They meet in a network, across leaves: IPv4, IPv6, TCP, bare metal", _across_leaves),
        Claim("They meet between the networks of a VPC", _between_networks),
        Claim("The first hop is the local leaf; no spine is a gateway", _gateways),
        Claim("Two VPCs with the same addresses do not hear each other", _isolation),
        Claim("A VPC meets the VLAN stage, through the border", _vlan_stage),
        *claims_faults.CLAIMS,
    ),
    (
        "lab exec {lab} mgmt -- netwright fabric status",
        "lab exec {lab} mgmt -- netwright fabric plan leaf1",
        "lab exec {lab} leaf1 -- vtysh -c 'show evpn vni'",
        "lab exec {lab} mgmt -- netwright port explain web1",
        "lab fail {lab} node:leaf1",
    ),
)
