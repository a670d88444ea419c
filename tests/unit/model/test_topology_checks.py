"""What is wrong with an inventory is named: element, switch, interface."""

import pytest
from msgspec.structs import replace
from tests.unit.server.trace.pictures import TREE, gateway, link

from netwright.model.errors import InvalidInput
from netwright.model.topology import (
    End,
    FabricSettings,
    Link,
    Switch,
    SwitchKind,
    Topology,
    VlanInterval,
    VniInterval,
)
from netwright.model.topology_checks import check
from netwright.model.vlan_domains import VlanDomain, host_links, vlan_domains


def leaf(number: int, **fields: object) -> Switch:
    values = {
        "kind": SwitchKind.LEAF,
        "asn": 65000 + number,
        "loopback": f"10.255.0.{number}",
        **fields,
    }
    return Switch(name=f"leaf{number}", **values)  # type: ignore[arg-type]


def fabric(*switches: Switch, links: tuple[Link, ...] = (), **settings: object) -> Topology:
    return Topology(
        switches=switches or (leaf(1), leaf(2)),
        links=links,
        fabric=FabricSettings(**settings),  # type: ignore[arg-type]
    )


def vlans(*pairs: tuple[int, int]) -> tuple[VlanInterval, ...]:
    return tuple(VlanInterval(first=first, last=last) for first, last in pairs)


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        (
            replace(TREE, switches=TREE.switches * 2),
            r"switches\[5\]\.name\. .*tor1 stands twice, first as switches\[0\]",
        ),
        (
            replace(TREE, links=TREE.links * 2),
            r"links\[12\]\.lower\. .*interface eth0 of host host1 is in links\[0\] already",
        ),
        (
            replace(TREE, gateways=TREE.gateways * 2),
            r"gateways\[2\]\.interface\. .*vlan101 of switch core1 stands twice",
        ),
        (
            Topology(links=(link("host1/eth0", "tor9/p"),)),
            r"links\[0\]\.upper\. Reason: tor9 is no switch of the inventory, and host1/eth0",
        ),
        (replace(TREE, links=(link("tor1/a", "tor1/b"),)), r"links\[0\]\. .*joins tor1 with"),
        (
            replace(TREE, links=(link("host1/a", "tor1/b", peer=True),)),
            r"links\[0\]\.lower\. .*a peer link joins switches, and host1 is none",
        ),
        (
            replace(TREE, gateways=(gateway("blue", "tor1"),)),
            r"gateways\[0\]\.switch.* tor1 is no core",
        ),
        (
            fabric(links=(link("h1/eth0", "leaf1/swp1"), link("h2/eth0", "leaf1/swp1"))),
            r"links\[1\]\.upper\. .*swp1 of switch leaf1 has two neighbours: h1/eth0 .* h2/eth0",
        ),
        (
            fabric(
                Switch(name="s1", kind=SwitchKind.SPINE),
                leaf(1),
                links=(link("leaf1/swp1", "s1/swp1"), link("h1/eth0", "leaf1/swp1")),
            ),
            r"links\[1\]\.upper\. .*swp1 of switch leaf1 has two neighbours: s1/swp1",
        ),
        (
            fabric(Switch(name="s1", kind=SwitchKind.SPINE), links=(link("h1/eth0", "s1/swp1"),)),
            r"links\[0\]\.upper\. .*s1 is a spine, and host h1",
        ),
        (fabric(leaf(1, asn=None)), r"switches\[0\]\.asn\. Reason: leaf leaf1 has no AS"),
        (
            fabric(leaf(1, kind=SwitchKind.BORDER, loopback="")),
            r"switches\[0\]\.loopback\. Reason: border leaf1 has no loopback",
        ),
        (fabric(leaf(1, loopback="x")), r"switches\[0\]\.loopback\. .*'x' of switch leaf1 is no"),
        (
            fabric(leaf(1), leaf(2, asn=65001)),
            r"switches\[1\]\.asn\. Reason: AS 65001 of switch leaf2 is leaf1's",
        ),
        (
            fabric(leaf(1), leaf(2, loopback="10.255.0.1")),
            r"switches\[1\]\.loopback\. .*10.255.0.1 of switch leaf2 is leaf1's",
        ),
        (fabric(leaf(1, driver="frr")), r"switches\[0\]\.address\. .*leaf1 has driver frr and no"),
        (fabric(leaf(1, address="local:/x")), r"switches\[0\]\.driver\. .*leaf1 has address"),
        (fabric(vlans=vlans((9, 5))), r"fabric\.vlans\[0\]\. .*first VLAN 9 is above its last"),
        (
            fabric(vlans=vlans((10, 20), (20, 30))),
            r"fabric\.vlans\[1\]\. .*VLANs 20 to 30 overlap with 10 to 20 of fabric\.vlans\[0\]",
        ),
        (fabric(vlans=vlans((1, 20))), r"fabric\.vlans\[0\]\. .*1 to 20 holds VLAN 1, which"),
        (
            fabric(domain_vlans={"leaf9": vlans((10, 20))}),
            r"fabric\.domain_vlans\.leaf9\. Reason: leaf9 is no leaf",
        ),
        (
            fabric(
                domain_vlans={"leaf1": vlans((10, 20)), "leaf2": vlans((30, 40))},
                links=(link("h/a", "leaf1/p"), link("h/b", "leaf2/p")),
            ),
            r"fabric\.domain_vlans\.leaf2\. .*in one VLAN domain with leaf1",
        ),
        (
            fabric(l3vnis=(VniInterval(first=9, last=20), VniInterval(first=5, last=9))),
            r"fabric\.l3vnis\[1\]\. .*VNIs 5 to 9 overlap",
        ),
    ],
)
def test_what_does_not_fit_is_named(topology: Topology, said: str) -> None:
    check(TREE)
    check(fabric(vlans=vlans((2, 4094))))
    with pytest.raises(InvalidInput, match=said):
        check(topology)


def test_leaves_that_share_hosts_are_one_domain_transitively() -> None:
    links = (
        link("h1/a", "leaf1/p1"),
        link("h1/b", "leaf2/p1"),
        link("h2/a", "leaf2/p2"),
        link("h2/b", "leaf3/p2"),
        link("h3/a", "leaf4/p3"),
        link("leaf1/up", "s1/p1"),
    )
    spine = Switch(name="s1", kind=SwitchKind.SPINE)
    topology = fabric(
        spine,
        *(leaf(n) for n in (4, 3, 2, 1, 5)),
        links=links,
        vlans=vlans((100, 199)),
        domain_vlans={"leaf3": vlans((300, 309))},
    )
    assert vlan_domains(topology) == (
        VlanDomain(
            name="leaf1",
            leaves=("leaf1", "leaf2", "leaf3"),
            hosts=("h1", "h2"),
            vlans=vlans((300, 309)),
        ),
        VlanDomain(name="leaf4", leaves=("leaf4",), hosts=("h3",), vlans=vlans((100, 199))),
        VlanDomain(name="leaf5", leaves=("leaf5",), vlans=vlans((100, 199))),
    )
    assert host_links(topology) == links[:5]


def test_interfaces_with_a_slash_in_their_name_are_named_whole() -> None:
    there = End(node="leaf1", interface="Ethernet1/1")
    links = tuple(Link(lower=End(node=host, interface="eth0"), upper=there) for host in ("a", "b"))
    with pytest.raises(InvalidInput, match=r"interface Ethernet1/1 of switch leaf1 has two"):
        check(fabric(links=links))
