"""From a core's interfaces, access ports and routes to gateways in the neutral form. Pure."""

import zlib
from collections.abc import Iterator, Mapping

from netwright.fabric.config import Route, SwitchConfig, VlanGateway
from netwright.fabric.drivers.core.ovsdb import AccessPort
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import KernelRoute, Link
from netwright.model.resources import Value

_ADOPTED = "netwright."
_ADDRESS = "netwright@"
_FOUND = "netwright="
"""Of an address that is wanted and was the owner's before: it stays when we go (law 7)."""


class Core(Value, frozen=True):
    """What is observed; `addresses` by the interface's index."""

    links: Mapping[int, Link]
    addresses: Mapping[int, tuple[str, ...]]
    routes: frozenset[KernelRoute]
    ports: Mapping[str, AccessPort]

    def find(self, name: str) -> Link | None:
        return next((link for link in self.links.values() if link.name == name), None)


def config(core: Core) -> SwitchConfig:
    return SwitchConfig(
        gateways={gateway.key: gateway for gateway in _gateways(core)},
        routes=frozenset(
            Route(destination=each.destination, nexthop=each.nexthop) for each in core.routes
        ),
    )


def access_port(interface: str) -> str:
    """The other end of a gateway's veth: a port of the line card (CRC-32, eight digits)."""
    return f"nwa{zlib.crc32(interface.encode()):08x}"


def stable_mac(gateway: VlanGateway) -> str:
    """The same whenever the gateway is made anew: hosts remember it (locally administered)."""
    return (b"\x02\x4f" + zlib.crc32(gateway.key.encode()).to_bytes(4, "big")).hex(":")


def alias(gateway: VlanGateway) -> str:
    return marks.write(
        gateway=gateway.network_id,
        vlan=gateway.vlan,
        physical=gateway.physical_network,
        mac=gateway.mac_address,
    )


def adopted_name(gateway: VlanGateway) -> str:
    """An alternative name may hold neither slash, colon nor space, and 127 octets."""
    physical = gateway.physical_network.replace("/", "_").replace(" ", "_")[:60]
    return f"{_ADOPTED}{gateway.network_id}.{gateway.vlan or 'flat'}.{physical}"


def address_name(address: str, *, was_found: bool = False) -> str:
    return (_FOUND if was_found else _ADDRESS) + address.replace("/", "_").replace(":", "-")


def addresses_of_ours(core: Core, link: Link) -> tuple[str, ...]:
    """All of them on an interface that we made; on an adopted one those that are named."""
    held = core.addresses.get(link.index, ())
    if marks.read(link.alias) is not None:
        return held
    found = (each for each in held if address_name(each, was_found=True) in link.alternative_names)
    return tuple(sorted({*added_by_us(core, link), *found}))


def added_by_us(core: Core, link: Link) -> tuple[str, ...]:
    """Of an adopted interface's addresses, those that its owner did not give it."""
    held = core.addresses.get(link.index, ())
    return tuple(each for each in held if address_name(each) in link.alternative_names)


def is_adopted(link: Link) -> bool:
    return any(name.startswith(_ADOPTED) for name in link.alternative_names)


def _gateways(core: Core) -> Iterator[VlanGateway]:
    """One that is cut off from its VLAN has no addresses."""
    for link in core.links.values():
        mark = marks.read(link.alias) if link.alias else None
        if mark is not None and "gateway" in mark:
            whole = _is_joined(core, link, marks.read_number(mark, "vlan"))
            yield VlanGateway(
                interface=link.name,
                physical_network=mark.get("physical", ""),
                vlan=marks.read_number(mark, "vlan"),
                network_id=mark["gateway"],
                addresses=addresses_of_ours(core, link) if whole else (),
                mac_address=link.mac_address if "mac" in mark else None,
            )
        for name in link.alternative_names:
            if name.startswith(_ADOPTED):
                network, vlan, physical = name.removeprefix(_ADOPTED).split(".", 2)
                yield VlanGateway(
                    interface=link.name,
                    physical_network=physical,
                    vlan=int(vlan) if vlan.isdecimal() else None,
                    network_id=network,
                    addresses=addresses_of_ours(core, link) if link.is_up else (),
                )


def _is_joined(core: Core, link: Link, vlan: int | None) -> bool:
    name = access_port(link.name)
    port, end = core.ports.get(name), core.find(name)
    bridge = link.name.rpartition(".")[0]
    return (
        port is not None
        and end is not None
        and (port.is_ours, port.tag, port.bridge) == (True, vlan, bridge)
        and end.is_up
        and link.is_up
        and (end.peer, link.peer) == (link.index, end.index)
    )
