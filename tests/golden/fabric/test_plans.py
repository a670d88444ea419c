"""Whole plans as people read them: `netwright fabric plan` of an empty fabric."""

import pytest
from msgspec.structs import replace
from tests.doubles.fabrics import (
    attachment,
    intent,
    interface,
    network,
    provider,
    router,
    subnet,
    topology,
)
from tests.golden.golden import check

from netwright.fabric.changes import summary
from netwright.fabric.config import EMPTY, Fenced
from netwright.fabric.intent import Intent
from netwright.fabric.plan import Plan, plan
from netwright.fabric.words import words
from netwright.model.resources import HostRoute
from netwright.model.topology import Capacities, Gateway, Irb

TRUNKS = (
    Gateway(switch="core1", interface="core-100", physical_network="physnet1", vlan=100),
    Gateway(switch="core1", interface="trunk", physical_network="physnet1"),
    Gateway(switch="border1", interface="up0", physical_network="physnet1"),
)


def bare_metal() -> Intent:
    """One VNI on two leaves: a machine on one of them, untagged, and one on the other."""
    net = network(1)
    machines = [
        attachment(net, "machine1", None, ("leaf1", "swp7")),
        attachment(net, "machine2", None, ("leaf2", "swp9")),
    ]
    return intent(topology(2, 0), networks=[net], attachments=machines)


def two_domains() -> Intent:
    """A network has a VLAN of its own in each domain, and one VNI."""
    one, two = network(1), network(2, vni=70_000)
    attachments = [
        attachment(one, "host1", 10),
        attachment(two, "host1", 11),
        attachment(one, "host2", 20),
        attachment(two, "host3", 11),
    ]
    return intent(topology(4, 3), networks=[one, two], attachments=attachments)


def vpcs(irb: Irb) -> Intent:
    """Two VPCs with the same prefixes, and a third with a way out."""
    nets = [network(number) for number in range(1, 6)]
    out = provider(1, 100)
    inside = [
        subnet(nets[0], "10.1.0.0/24", "10.1.0.1"),
        subnet(nets[1], "10.1.0.0/24", "10.1.0.1"),
        subnet(nets[2], "10.3.0.0/24", "10.3.0.1"),
        subnet(nets[3], "10.4.0.0/24", "10.4.0.1"),
        subnet(nets[3], "2001:db8:4::/64", "2001:db8:4::1"),
    ]
    outside = [
        subnet(out, "192.0.2.0/24", "192.0.2.1"),
        subnet(out, "2001:db8::/64", "2001:db8::1"),
    ]
    routers = [
        router(1, interface(inside[0], "10.1.0.1"), vni=90_001),
        router(2, interface(inside[1], "10.1.0.1"), vni=90_002),
        router(
            3,
            interface(inside[2], "10.3.0.1", "fa:16:3e:00:00:03"),
            interface(inside[3], "10.4.0.1", "fa:16:3e:00:00:04"),
            interface(inside[4], "2001:db8:4::1", "fa:16:3e:00:00:04"),
            interface(outside[0], "192.0.2.9", "fa:16:3e:00:00:09"),
            interface(outside[1], "2001:db8::9", "fa:16:3e:00:00:09"),
            vni=90_003,
            routes=[HostRoute(destination="172.16.0.0/12", nexthop="10.3.0.7")],
        ),
    ]
    return intent(
        topology(4, 4, borders=1, gateways=TRUNKS, irb=irb),
        networks=[*nets, out],
        subnets=[*inside, *outside],
        routers=routers,
        attachments=[
            attachment(nets[0], "host1", 10),
            attachment(nets[1], "host1", 11),
            attachment(nets[2], "host1", 12),
            attachment(nets[3], "host2", 10),
            attachment(nets[4], "host2", 11),
        ],
    )


def provider_networks() -> Intent:
    """Gateways on the core by the inventory's names, and the flat network on the trunk itself."""
    nets = [provider(1, 100), provider(2, 200), provider(3, None), provider(4, 300, "physnet9")]
    subnets = [
        subnet(nets[0], "192.0.2.0/24", "192.0.2.1"),
        subnet(nets[0], "2001:db8::/64", "2001:db8::1"),
        subnet(nets[1], "198.51.100.0/24", "198.51.100.1"),
        subnet(nets[2], "203.0.113.0/24", "203.0.113.1"),
        subnet(nets[3], "10.9.0.0/24", "10.9.0.1"),
    ]
    return intent(topology(2, 0, gateways=TRUNKS), networks=nets, subnets=subnets)


def out_of_service() -> Intent:
    """leaf1 is drained, and host2 is fenced."""
    drops = Fenced(port_id="port1", mac_address="fa:16:3e:00:00:07", addresses=("10.1.0.7",))
    made = intent(
        topology(2, 2),
        networks=[network(1)],
        attachments=[attachment(network(1), "host1", 10), attachment(network(1), "host2", 10)],
        drained=["leaf1"],
    )
    return replace(made, fences={"host2": (drops,)})


def bad_input() -> Intent:
    """Each of these fails alone: `host1` has all of net-1 that it should."""
    nets = [network(number) for number in range(1, 5)]
    twin = replace(network(5, vni=1001), name="twin")
    down = network(6, up=False)
    return intent(
        topology(2, 2, capacities=Capacities(vnis=2)),
        networks=[*nets, twin, down],
        attachments=[
            attachment(nets[0], "host1", 10),
            attachment(nets[1], "host1", 10),
            attachment(nets[1], "host2", 12),
            attachment(nets[2], "host2", 13),
            attachment(nets[3], "host1"),
            attachment(nets[0], "host9", 10),
            attachment(nets[0], "machine1", None, ("leaf7", "swp1")),
            attachment(nets[0], "machine2", None, ("leaf1", "up1")),
            attachment(nets[0], "machine3", None, ("leaf1", "swp3")),
            attachment(nets[1], "machine4", None, ("leaf1", "swp3")),
            attachment(twin, "host1", 15),
            attachment(down, "host1", 16),
        ],
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("bare-metal", bare_metal()),
        ("two-domains", two_domains()),
        ("vpcs-asymmetric", vpcs(Irb.ASYMMETRIC)),
        ("vpcs-symmetric", vpcs(Irb.SYMMETRIC)),
        ("provider-networks", provider_networks()),
        ("out-of-service", out_of_service()),
        ("bad-input", bad_input()),
    ],
)
def test_a_plan_is_as_it_was(name: str, wanted: Intent) -> None:
    check(f"fabric/plan-{name}.txt", text(plan(wanted)))


def text(planned: Plan) -> str:
    lines = []
    for name, config in sorted(planned.switches.items()):
        lines += [name, *(f"  {words(change)}" for change in summary(EMPTY, config))]
    if planned.refusals:
        lines += ["refused", *(f"  [{each.code}] {each.words}" for each in planned.refusals)]
    return "\n".join(lines) + "\n"
