"""What the demo claims of containers beside VMs and bare metal: one plan, and who reaches whom.

Names that outlive their containers, and containers that drift: `claims_drift`.
"""

import json
import time
from ipaddress import ip_address

from netwright.lab import fabric_state
from netwright.lab.demo import claims_drift, claims_evpn
from netwright.lab.demo.pods import pod
from netwright.lab.demo.screen import kind_of
from netwright.lab.demo.stage import Claim, Scene, Stage, require
from netwright.lab.orchestrator import Wanted
from netwright.lab.places import find_instance

FRONT, BACK, OUTSIDE = "front", "back", "outside"
_IPV6 = 6
_KINDS = ("container", "VM", "bare metal")


def _networks(stage: Stage) -> str:
    nova = stage.orchestrator
    made = {str(one["name"]): one for one in nova.create_networks()}
    nova.create_vpc("shop", [FRONT, BACK], [OUTSIDE])
    said = [
        f"{name} ({', '.join(f'{key}={value}' for key, value in made[name]['labels'].items())})"
        for name in (FRONT, BACK)
    ]
    domain = made[BACK]["drift_domain"]
    require(domain == "zone", f"the drift domain of {BACK} is {domain}")
    zones: dict[str, list[str]] = {}
    for one in nova.ask(lambda client: client.topology()).switches:
        if one.zone:
            zones.setdefault(one.zone, []).append(one.name)
    where = "; ".join(f"{zone}: {', '.join(leaves)}" for zone, leaves in zones.items())
    return (
        f"{' and '.join(said)}, in one VPC with a way out into {OUTSIDE}; pods of {BACK} stay in"
        f" their {domain} ({where})"
    )


def _by_label(stage: Stage) -> str:
    """A runtime is told labels, and gets a network: it has no id, and no name, of one."""
    lab, nova = stage.lab, stage.orchestrator
    began = time.monotonic()
    made = nova.run([pod("web-0", "host1")])
    took = time.monotonic() - began
    made += nova.run([pod("db-0", "host3", tier="db"), pod("batch-7f9c", "host4", is_named=False)])
    stage.made |= {one.name: one for one in made}
    for one in made:
        attachment = find_instance(lab, one.instance.id).attachment
        assert attachment is not None, "a container has one"
        told = json.dumps(attachment.config) + attachment.args
        for network in (one.network, str(one.port["network_id"])):
            require(network not in told, f"the runtime of {one.name} was told network {network}")
    web, database, batch = made
    require(web.network == batch.network == FRONT, f"web-0 is in {web.network}")
    require(database.network == BACK, f"db-0 is in {database.network}")
    name = web.port["unique_name"]
    require(name == "lab/default/web/0", f"the port of web-0 is named {name}")
    return (
        f"web-0 asked for env=prod,tier=web and is in {web.network} with {web.address()}, its way"
        f" open on all leaves {took:.2f} s after its start; db-0 for env=prod,tier=db:"
        f" {database.network}, {database.address()}; web-0's port is named by its labels:"
        f" {name}"
    )


def _one_plan(stage: Stage) -> str:
    nova = stage.orchestrator
    made = nova.spawn(
        [
            Wanted("vm", "host2", FRONT),
            Wanted("metal", "metal1", FRONT),
            Wanted("old", "vhost1", OUTSIDE),
        ]
    )
    nova.await_status(made)
    stage.made |= {one.name: one for one in made}
    front = str(nova.network(FRONT)["id"])
    held = [one for one in stage.made.values() if one.port["network_id"] == front]
    plan = sorted(held, key=lambda one: ip_address(one.address()))
    ports = {str(each["id"]): each for each in nova.ports()}
    kinds = {one.name: kind_of(ports[str(one.port["id"])]) for one in held}
    require(len(set(kinds.values())) == len(_KINDS), f"{FRONT} has not all of: {', '.join(_KINDS)}")
    addresses = [one.address(version) for one in held for version in (4, _IPV6)]
    require(len(set(addresses)) == len(addresses), f"an address stands twice: {addresses}")
    late = [one.name for one in held if ports[str(one.port["id"])]["status"] != "ACTIVE"]
    require(not late, f"not ACTIVE: {', '.join(late)}")
    said = (f"{one.address()} {kinds[one.name]} {one.name} on {one.host}" for one in plan)
    return f"{FRONT}, all ACTIVE: {'; '.join(said)}"


def _reachable(stage: Stage) -> str:
    said = [
        stage.tap_ping("vm", "web-0"),
        stage.tap_ping("web-0", "metal"),
        stage.tap_ping("metal", "web-0", _IPV6),
        stage.tcp("web-0", "vm"),
        stage.tcp("metal", "web-0"),
        stage.tap_ping("batch-7f9c", "web-0"),
        stage.tap_ping("web-0", "db-0"),
        stage.tcp("vm", "db-0", _IPV6),
        stage.tap_ping("old", "web-0"),
    ]
    leaf = fabric_state.port_in_use(stage.lab, "host1").node
    return f"{'; '.join(said)}: by the pod's own address, whose first hop is {leaf}"


SCENE = Scene(
    (
        claims_evpn.FABRIC,
        Claim("Networks carry labels; one of them says how far its pods may drift", _networks),
        Claim("Pods start by label: their runtimes know no network, and no id of one", _by_label),
        Claim("One address plan has containers, VMs and bare metal, in one network", _one_plan),
        Claim("They reach each other, and the VLAN stage: IPv4, IPv6, TCP", _reachable),
        *claims_drift.CLAIMS,
    ),
    (
        "lab exec {lab} mgmt -- openstack port list --long",
        "lab exec {lab} mgmt -- netwright port explain default/web-0",
        "lab spawn {lab} host2 --container --network-labels env=prod,tier=web --name web-1",
        "lab exec {lab} web-1 -- ping -c3 10.8.0.1",
    ),
)
