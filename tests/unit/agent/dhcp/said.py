"""What clients say, made by os-ken's packet library; and what they are told, read by it."""

from typing import Any

from os_ken.lib.packet import dhcp, ethernet, icmpv6, ipv4, ipv6, packet, udp

from netwright.agent.dhcp.served import Lease4, Lease6, Prefix6
from netwright.model.resources import DhcpOption, HostRoute

MAC = "fa:16:3e:00:00:01"
OCTETS = bytes.fromhex(MAC.replace(":", ""))
LINK_LOCAL = "fe80::f816:3eff:fe00:1"
LEASE = Lease4(
    address="10.0.0.5",
    prefix_length=24,
    gateway="10.0.0.1",
    name_servers=("10.1.1.1", "10.1.1.2"),
    routes=(HostRoute(destination="10.8.0.0/13", nexthop="10.0.0.9"),),
    mtu=1450,
)
LEASE6 = Lease6(
    addresses=("2001:db8::5",),
    is_asked=True,
    name_servers=("2001:db8:1::1",),
    prefixes=(Prefix6(cidr="2001:db8::/64", is_autonomous=False),),
    mtu=1450,
)


def wish(name: str, value: str, version: int = 4) -> DhcpOption:
    return DhcpOption(opt_name=name, opt_value=value, ip_version=version)


def v4(
    kind: int, *, mac: str = MAC, flags: int = 0, ciaddr: str = "0.0.0.0", **options: bytes
) -> bytes:
    """A client's frame; options as `o50=…`."""
    given = [dhcp.option(53, bytes([kind]))]
    given += [dhcp.option(int(name[1:]), value) for name, value in options.items()]
    body = dhcp.dhcp(
        op=1, chaddr=mac, xid=0x1234, flags=flags, ciaddr=ciaddr, options=dhcp.options(given)
    )
    made = packet.Packet()
    for each in (
        ethernet.ethernet("ff:ff:ff:ff:ff:ff", mac, 0x0800),
        ipv4.ipv4(src=ciaddr, dst="255.255.255.255", proto=17),
        udp.udp(68, 67),
        body,
    ):
        made.add_protocol(each)
    made.serialize()
    return bytes(made.data)


class Told4:
    """A server's frame, taken apart."""

    def __init__(self, frame: bytes | None) -> None:
        assert frame is not None, "nothing was answered"
        read = packet.Packet(frame)
        self.ethernet: Any = read.get_protocol(ethernet.ethernet)
        self.ip: Any = read.get_protocol(ipv4.ipv4)
        self.udp: Any = read.get_protocol(udp.udp)
        self.head: Any = read.get_protocol(dhcp.dhcp)
        self.options: dict[int, bytes] = {}
        for one in self.head.options.option_list:
            self.options[one.tag] = self.options.get(one.tag, b"") + one.value

    @property
    def kind(self) -> int:
        return self.options[53][0]


def solicitation(mac: str = MAC) -> bytes:
    made = packet.Packet()
    for each in (
        ethernet.ethernet("33:33:00:00:00:02", mac, 0x86DD),
        ipv6.ipv6(src=LINK_LOCAL, dst="ff02::2", nxt=58, hop_limit=255),
        icmpv6.icmpv6(type_=133, data=icmpv6.nd_router_solicit()),
    ):
        made.add_protocol(each)
    made.serialize()
    return bytes(made.data)


def v6(kind: int, options: bytes, *, mac: str = MAC) -> bytes:
    """A client's frame of DHCPv6."""
    made = packet.Packet()
    for each in (
        ethernet.ethernet("33:33:00:01:00:02", mac, 0x86DD),
        ipv6.ipv6(src=LINK_LOCAL, dst="ff02::1:2", nxt=17),
        udp.udp(546, 547),
        bytes([kind]) + b"\x12\x34\x56" + options,
    ):
        made.add_protocol(each)
    made.serialize()
    return bytes(made.data)
