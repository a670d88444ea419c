"""The planned flows say of any packet what a naive reading of the rules says."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.agent.ovs.plan_scene import RED, WIRING, desired, members
from tests.unit.agent.ovs.simswitch import SimSwitch
from tests.unit.agent.ovs.tablewalk import Conntrack, Packet, Tables, five_tuple

from netwright.agent.members import Memberships
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.rules import PROTOCOLS, port_filter, port_masks
from netwright.agent.ovs.wiring import AddressPair, Endpoint, PortFilter
from netwright.model.security import Direction, SecurityGroup, SecurityGroupRule

MACS = ("fa:16:3e:00:00:00", "fa:16:3e:00:00:01")
FAR_MAC = "fa:16:3e:00:00:64"
OWN = ({4: "10.0.0.1", 6: "2001:db8::1"}, {4: "10.0.0.2", 6: "2001:db8::2"})
FAR = {4: ("10.0.0.100", "10.0.1.7"), 6: ("2001:db8::64", "2001:db8:1::7")}
POOL = ("10.0.0.1", "10.0.0.2", "10.0.0.100", "10.0.1.0/24", "2001:db8::2", "2001:db8::/64", "::/0")
GROUPS = ("red", "blue", "green")
ETHERTYPE = {4: 0x0800, 6: 0x86DD}


class Party(NamedTuple):
    """A port and the groups that it is in: None when it is not filtered."""

    groups: tuple[SecurityGroup, ...] | None


@st.composite
def rules(draw: st.DrawFn) -> SecurityGroupRule:
    version = draw(st.sampled_from([4, 6]))
    protocol = draw(st.sampled_from([None, "tcp", "udp", "icmp", "17"]))
    ports: tuple[int | None, int | None] = (None, None)
    if protocol in ("tcp", "udp", "17"):
        ports = draw(st.sampled_from([(None, None), (80, 80), (79, 90), (1, 1023), (0, 65535)]))
    elif protocol == "icmp":
        ports = draw(st.sampled_from([(None, None), (8 if version == 4 else 128, None)]))
    peers = {4: ["10.0.0.0/24", "10.0.0.1", "0.0.0.0/0"], 6: ["2001:db8::/64", "::/0"]}[version]
    prefix, group = draw(
        st.one_of(
            st.just((None, None)),
            st.sampled_from(peers).map(lambda peer: (peer, None)),
            st.sampled_from(GROUPS).map(lambda name: (None, name)),
        )
    )
    return SecurityGroupRule(
        id="r",
        direction=draw(st.sampled_from(list(Direction))),
        ethertype=f"IPv{version}",
        protocol=protocol,
        port_range_min=ports[0],
        port_range_max=ports[1],
        remote_ip_prefix=prefix,
        remote_group_id=group,
    )


groups = st.builds(
    SecurityGroup,
    id=st.just("g"),
    project_id=st.just("p"),
    stateful=st.sampled_from([True, True, False]),
    rules=st.lists(rules(), max_size=5).map(tuple),
)
parties = st.builds(Party, st.none() | st.lists(groups, max_size=2).map(tuple))
stateful = parties.map(
    lambda party: Party(
        party.groups and tuple(msgspec.structs.replace(one, stateful=True) for one in party.groups)
    )
)
memberships = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(POOL), unique=True, max_size=3).map(tuple) for name in GROUPS}
)


@st.composite
def flights(draw: st.DrawFn) -> tuple[int | None, int | None, dict[str, Any]]:
    """Who sends to whom (None: the wire), and the packet without its Ethernet header."""
    sender, target = draw(st.sampled_from([(0, 1), (1, 0), (0, None), (None, 1)]))
    version = draw(st.sampled_from([4, 6]))
    ends = [
        OWN[who][version] if who is not None else draw(st.sampled_from(FAR[version]))
        for who in (sender, target)
    ]
    packet: dict[str, Any] = {"eth_type": ETHERTYPE[version]}
    packet |= {f"ipv{version}_src": ends[0], f"ipv{version}_dst": ends[1]}
    kind = draw(st.sampled_from(["tcp", "udp", "icmp"]))
    if kind == "icmp":
        number, echo = (1, 8) if version == 4 else (58, 128)
        packet |= {"ip_proto": number}
        packet |= {f"icmpv{version}_type": echo, f"icmpv{version}_code": 0}
    else:
        packet["ip_proto"] = PROTOCOLS[kind]
        packet |= {f"{kind}_src": 5000, f"{kind}_dst": draw(st.sampled_from([79, 80, 91, 2000]))}
    return sender, target, packet


def back(packet: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a packet."""
    answer = dict(packet)
    for name, value in packet.items():
        stem, _, side = name.rpartition("_")
        if side in ("src", "dst"):
            answer[f"{stem}_{'dst' if side == 'src' else 'src'}"] = value
        elif side == "type" and stem.startswith("icmp"):
            answer[name] = {8: 0, 128: 129}[value]
    return answer


# The naive reading


def lets(
    party: Party,
    direction: Direction,
    packet: Mapping[str, Any],
    joined: Mapping[str, tuple[str, ...]],
    *,
    stateful_only: bool = False,
) -> bool:
    if party.groups is None:
        return True
    return any(
        rule_lets(rule, direction, packet, joined)
        for group in party.groups
        if group.stateful or not stateful_only
        for rule in group.rules
    )


def rule_lets(
    rule: SecurityGroupRule,
    direction: Direction,
    packet: Mapping[str, Any],
    joined: Mapping[str, tuple[str, ...]],
) -> bool:
    version = 4 if packet["eth_type"] == 0x0800 else 6
    if rule.direction != direction or rule.ethertype != f"IPv{version}":
        return False
    peer = packet[f"ipv{version}_{'src' if direction == Direction.INGRESS else 'dst'}"]
    if rule.remote_ip_prefix is not None and not inside(peer, [rule.remote_ip_prefix]):
        return False
    if rule.remote_group_id is not None and not inside(peer, joined[rule.remote_group_id]):
        return False
    return rule.protocol is None or protocol_lets(rule, packet, version)


def protocol_lets(rule: SecurityGroupRule, packet: Mapping[str, Any], version: int) -> bool:
    wanted = {"tcp": 6, "udp": 17, "17": 17, "icmp": 1 if version == 4 else 58}[rule.protocol or ""]
    if packet["ip_proto"] != wanted:
        return False
    if rule.protocol == "icmp":
        return rule.port_range_min in (None, packet.get(f"icmpv{version}_type"))
    port = int(packet.get("tcp_dst", packet.get("udp_dst", 0)))
    return (rule.port_range_min or 0) <= port <= (rule.port_range_max or 65535)


def inside(address: str, networks: Iterable[str]) -> bool:
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks
    )


def is_open(party: Party, packet: Mapping[str, Any]) -> bool:
    """Whether the port's filter lets all of the packet's ethertype pass both ways."""
    if party.groups is None:
        return True
    ethertype = "IPv4" if packet["eth_type"] == 0x0800 else "IPv6"
    all_ = {
        rule.direction
        for group in party.groups
        for rule in group.rules
        if rule.ethertype == ethertype
        and rule.protocol is None
        and rule.remote_group_id is None
        and rule.remote_ip_prefix in (None, "0.0.0.0/0", "::/0")
    }
    return all_ == set(Direction)


class Bench:
    """A host with two ports, planned; conntrack outlives its flows."""

    def __init__(self) -> None:
        self.switch = SimSwitch()
        self.conntrack = Conntrack()
        for number in (0, 1):
            self.switch.converge(desired())
            self.switch.plug("br-int", f"tap{number}", f"p{number}", 4095)

    def want(self, parties: Iterable[Party], joined: Memberships) -> None:
        endpoints = [
            Endpoint(f"p{n}", RED, MACS[n], tuple(OWN[n].values()), filter=filter_of(party))
            for n, party in enumerate(parties)
        ]
        plan = self.switch.converge(desired(*endpoints, memberships=joined))
        assert {state.status for state in plan.endpoints} == {"up"}

    def passes(self, sender: int | None, target: int | None, packet: Packet) -> bool:
        macs = [MACS[who] if who is not None else FAR_MAC for who in (sender, target)]
        frame = {"eth_src": macs[0], "eth_dst": macs[1], **packet}
        if sender is None:
            patch = self.switch.ofport("int-br-bond")
            frame |= {"in_port": patch, "vlan_vid": 0x1000 | 101}
        else:
            frame |= {"in_port": self.switch.ofport(f"tap{sender}"), "vlan_vid": 0}
        tables = Tables(self.switch.flows["br-int"].values())
        tables.conntrack = self.conntrack
        return tables.forwards(frame)

    def knows(self, who: int, packet: Packet) -> bool:
        """Whether conntrack keeps the packet's connection, established, in a port's zone."""
        zone = self.conntrack.zones.get(self.switch.ofport(f"tap{who}"), [])
        original = five_tuple(packet)
        return any(one.established and one.original == original for one in zone)


def filter_of(party: Party) -> PortFilter | None:
    if party.groups is None:
        return None
    made = port_filter(party.groups)
    assert made.left_out == ()
    return made.filter


def sides(
    two: tuple[Party, Party], sender: int | None, target: int | None
) -> list[tuple[Party, Direction]]:
    """The filters on the way, each with the direction in which the packet passes it."""
    found = []
    if sender is not None:
        found.append((two[sender], Direction.EGRESS))
    if target is not None:
        found.append((two[target], Direction.INGRESS))
    return found


OTHER = {Direction.EGRESS: Direction.INGRESS, Direction.INGRESS: Direction.EGRESS}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(st.tuples(parties, parties), memberships, st.lists(flights(), min_size=1, max_size=4))
def test_first_packets_and_answers(
    two: tuple[Party, Party],
    joined: dict[str, tuple[str, ...]],
    flown: list[tuple[int | None, int | None, dict[str, Any]]],
) -> None:
    bench = Bench()
    bench.want(two, members(**joined))
    for sender, target, packet in flown:
        bench.conntrack = Conntrack()  # each packet is the first of its connection
        way = sides(two, sender, target)
        expected = all(lets(party, direction, packet, joined) for party, direction in way)
        assert bench.passes(sender, target, packet) == expected
        if not expected:
            continue
        answer = back(packet)
        expected = all(
            is_open(party, packet)
            or lets(party, direction, packet, joined, stateful_only=True)
            or lets(party, OTHER[direction], answer, joined)
            for party, direction in way
        )
        assert bench.passes(target, sender, answer) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)
@given(
    st.tuples(stateful, stateful),
    st.tuples(stateful, stateful),
    memberships,
    memberships,
    flights(),
)
def test_connections_follow_the_rules_that_are(
    two: tuple[Party, Party],
    then: tuple[Party, Party],
    joined: dict[str, tuple[str, ...]],
    left: dict[str, tuple[str, ...]],
    flown: tuple[int | None, int | None, dict[str, Any]],
) -> None:
    """What was established and is allowed no more ends, answers included; and begins again."""
    sender, target, packet = flown
    bench = Bench()
    bench.want(two, members(**joined))
    assume(bench.passes(sender, target, packet))
    assume(bench.passes(target, sender, back(packet)))
    bench.want(then, members(**left))
    refused_by = next(
        (
            who
            for who, (party, direction) in zip(
                [one for one in (sender, target) if one is not None],
                sides(then, sender, target),
                strict=True,
            )
            if not lets(party, direction, packet, left)
        ),
        None,
    )
    was_known = refused_by is not None and bench.knows(refused_by, packet)
    assert bench.passes(sender, target, packet) == (refused_by is None)
    if refused_by is not None and was_known and is_tracked(then[refused_by]):
        assert not bench.passes(target, sender, back(packet))
    bench.want(two, members(**joined))
    assert bench.passes(sender, target, packet)
    assert bench.passes(target, sender, back(packet))


def is_tracked(party: Party) -> bool:
    made = filter_of(party)
    return made is not None and made.is_tracked


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [(80, 80, 1), (0, 65535, 1), (1, 65535, 16), (1000, 1999, 7), (32768, 65535, 1)],
)
def test_port_masks_are_exactly_the_ports(first: int, last: int, count: int) -> None:
    masks = list(port_masks(first, last))
    assert len(masks) == count
    pairs = [
        (one, 0xFFFF) if isinstance(one, int) else tuple(int(p, 16) for p in one.split("/"))
        for one in masks
    ]
    assert {port for port in range(65536) for value, mask in pairs if port & mask == value} == set(
        range(first, last + 1)
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"protocol": "udplite", "port_range_min": 1, "port_range_max": 2}, "knows no ports"),
        ({"protocol": "ipv6-icmp", "port_range_min": 1}, "knows no ports, types or codes"),
        ({"protocol": "tcp", "port_range_min": 9, "port_range_max": 2}, "9..2 are no ports"),
        ({"protocol": "icmp", "port_range_max": 2}, "ICMP code without a type"),
        ({"protocol": "icmp", "port_range_min": 256}, "256 is no ICMP type"),
        ({"protocol": "carrier-pigeon"}, "is no IP protocol"),
        ({"port_range_min": 1}, "no protocol to have them"),
        ({"remote_ip_prefix": "2001:db8::/64"}, "is not IPv4"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "g"}, "both by prefix and by group"),
        ({"ethertype": "IPv6", "protocol": "ipv6-frag"}, "looks past the extension header"),
        ({"ethertype": "ARP"}, "no ethertype that is filtered"),
    ],
)
def test_what_cannot_be_put_as_flows_is_left_out_with_its_reason(
    fields: dict[str, Any], reason: str
) -> None:
    odd = msgspec.convert(
        {"id": "odd", "direction": "ingress", "ethertype": "IPv4"} | fields, SecurityGroupRule
    )
    good = SecurityGroupRule(id="good", direction=Direction.INGRESS, ethertype="IPv4")
    made = port_filter([SecurityGroup(id="g", project_id="p", rules=(odd, good))])
    assert len(made.filter.permits) == 1
    (left_out,) = made.left_out
    assert left_out.startswith("security group rule odd lets nothing through: ")
    assert reason in left_out


def test_a_port_that_is_open_both_ways_costs_what_an_unfiltered_one_does() -> None:
    everything = [
        SecurityGroupRule(id="r", direction=direction, ethertype=ethertype)
        for direction in Direction
        for ethertype in ("IPv4", "IPv6")
    ]
    counts = []
    for party in (
        Party(None),
        Party((SecurityGroup(id="g", project_id="p", rules=(*everything,)),)),
    ):
        bench = Bench()
        bench.want((party, Party(None)), members())
        counts.append(len(bench.switch.ours("br-int")))
    assert counts[0] == counts[1]


def test_a_member_that_joins_is_one_flow_however_many_ports_and_rules_name_its_group() -> None:
    friends = [
        SecurityGroupRule(
            id=f"r{port}",
            direction=Direction.INGRESS,
            ethertype="IPv4",
            protocol="tcp",
            port_range_min=port,
            port_range_max=port,
            remote_group_id="red",
        )
        for port in range(80, 90)
    ]
    party = Party((SecurityGroup(id="g", project_id="p", rules=(*friends,)),))
    bench = Bench()
    bench.want((party, party), members(red=("10.0.0.7",)))
    endpoints = tuple(
        Endpoint(f"p{n}", RED, MACS[n], tuple(OWN[n].values()), filter=filter_of(party))
        for n in (0, 1)
    )
    more = desired(*endpoints, memberships=members(red=("10.0.0.7", "10.0.0.8")))
    plan = make_plan(more, bench.switch.actual())
    assert (plan.close, plan.rows, plan.open) == ({}, (), {})
    assert len(plan.addresses) == 1


def sharing() -> tuple[Bench, list[Endpoint]]:
    """Two ports that may both have a virtual router's MAC: one lets in ports 80 and 81, one 80."""
    vrrp = AddressPair("10.0.0.50", "00:00:5e:00:01:07")
    web = SecurityGroupRule(
        id="r", direction=Direction.INGRESS, ethertype="IPv4", protocol="tcp",
        port_range_min=80, port_range_max=81,
    )  # fmt: skip
    one_less = msgspec.structs.replace(web, port_range_max=80)
    bench = Bench()
    endpoints = [
        Endpoint(
            f"p{n}", RED, MACS[n], (OWN[n][4],), (vrrp,),
            filter=port_filter([SecurityGroup(id="g", project_id="p", rules=(rule,))]).filter,
        )
        for n, rule in enumerate((web, one_less))
    ]  # fmt: skip
    bench.switch.converge(desired(*endpoints, wiring=WIRING))
    return bench, endpoints


def test_a_mac_that_ports_share_must_pass_all_their_filters() -> None:
    bench, _ = sharing()
    frame: dict[str, int | str] = {
        "in_port": bench.switch.ofport("int-br-bond"), "vlan_vid": 0x1000 | 101,
        "eth_src": FAR_MAC, "eth_dst": "00:00:5e:00:01:07", "eth_type": 0x0800,
        "ipv4_src": "10.0.0.100", "ipv4_dst": "10.0.0.50", "ip_proto": 6, "tcp_src": 5000,
    }  # fmt: skip
    tables = Tables(bench.switch.flows["br-int"].values())
    assert tables.forwards(frame | {"tcp_dst": 80})
    assert not tables.forwards(frame | {"tcp_dst": 81})
    assert not tables.forwards(frame | {"tcp_dst": 82})


def test_a_restarted_agent_keeps_the_guards_of_macs_that_ports_share() -> None:
    bench, endpoints = sharing()
    actual = bench.switch.actual()
    assert make_plan(desired(in_sync=False), actual).empty
    half = make_plan(desired(endpoints[0], in_sync=False), actual)
    bench.switch.apply(half)
    frame: dict[str, int | str] = {
        "in_port": bench.switch.ofport("int-br-bond"), "vlan_vid": 0x1000 | 101,
        "eth_src": FAR_MAC, "eth_dst": "00:00:5e:00:01:07", "eth_type": 0x0800,
        "ipv4_src": "10.0.0.100", "ipv4_dst": "10.0.0.50", "ip_proto": 6, "tcp_src": 5000,
    }  # fmt: skip
    tables = Tables(bench.switch.flows["br-int"].values())
    assert tables.forwards(frame | {"tcp_dst": 80})
    assert not tables.forwards(frame | {"tcp_dst": 82})
    assert make_plan(desired(endpoints[0], in_sync=False), bench.switch.actual()).empty


def test_an_address_that_two_ports_claim_must_pass_both_filters_and_settles() -> None:
    """It should not be; were it so, each frame to it would have to please both."""
    bench, endpoints = sharing()
    twins = [msgspec.structs.replace(one, addresses=("10.0.0.9",)) for one in endpoints]
    bench.switch.converge(desired(*twins))
    frame: dict[str, int | str] = {
        "in_port": bench.switch.ofport("int-br-bond"), "vlan_vid": 0x1000 | 101,
        "eth_src": FAR_MAC, "eth_dst": "ff:ff:ff:ff:ff:ff", "eth_type": 0x0800,
        "ipv4_src": "10.0.0.100", "ipv4_dst": "10.0.0.9", "ip_proto": 6, "tcp_src": 5000,
    }  # fmt: skip
    tables = Tables(bench.switch.flows["br-int"].values())
    assert tables.forwards(frame | {"tcp_dst": 80})
    assert not tables.forwards(frame | {"tcp_dst": 81})
