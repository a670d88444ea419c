"""Fabrics and intents by a few words each, for tests and benchmarks of the planner."""

from collections.abc import Iterable

from netwright.fabric.intent import Intent
from netwright.fabric.plan import Plan
from netwright.fabric.refusals import RefusalCode
from netwright.model.resources import (
    AccessPort,
    Attachment,
    HostRoute,
    Network,
    NetworkType,
    Segment,
    Subnet,
)
from netwright.model.routing import Router, RouterInterface
from netwright.model.states import AttachmentState
from netwright.model.topology import (
    Capacities,
    End,
    FabricSettings,
    Gateway,
    Irb,
    Link,
    Switch,
    SwitchKind,
    Topology,
)

_ANY = Capacities()


def leaf(
    number: int, *, kind: SwitchKind = SwitchKind.LEAF, capacities: Capacities = _ANY
) -> Switch:
    """`leaf1` with loopback 10.0.0.1 and AS 65001."""
    return Switch(
        name=f"{kind}{number}",
        kind=kind,
        driver="frr",
        asn=65000 + number,
        loopback=f"10.0.{number >> 8}.{number & 255}"
        if kind is SwitchKind.LEAF
        else f"10.1.0.{number}",
        capacities=capacities,
    )


def link(host: str, switch: str, interface: str) -> Link:
    return Link(
        lower=End(node=host, interface=f"to-{switch}"), upper=End(node=switch, interface=interface)
    )


def topology(
    leaves: int = 2,
    hosts: int = 2,
    *,
    borders: int = 0,
    gateways: Iterable[Gateway] = (),
    irb: Irb = Irb.ASYMMETRIC,
    capacities: Capacities = _ANY,
) -> Topology:
    """Pairs of leaves; `host1` and so on hang on both leaves of a pair, in turn, by `h1`…."""
    switches = [Switch(name="spine1", kind=SwitchKind.SPINE, driver="frr")]
    switches += [leaf(number, capacities=capacities) for number in range(1, leaves + 1)]
    switches += [leaf(number, kind=SwitchKind.BORDER) for number in range(1, borders + 1)]
    switches += [Switch(name="core1", kind=SwitchKind.CORE, driver="core")]
    links = [
        Link(
            lower=End(node=each.name, interface="up1"),
            upper=End(node="spine1", interface=each.name),
        )
        for each in switches
        if each.kind in {SwitchKind.LEAF, SwitchKind.BORDER}
    ]
    pairs = max(leaves // 2, 1)
    for number in range(1, hosts + 1):
        first = 2 * ((number - 1) % pairs) + 1
        links += [
            link(f"host{number}", f"leaf{which}", f"h{number}")
            for which in range(first, min(first + 1, leaves) + 1)
        ]
    return Topology(
        switches=tuple(switches),
        links=tuple(links),
        gateways=tuple(gateways),
        fabric=FabricSettings(irb=irb),
    )


def network(number: int, *, vni: int | None = 0, up: bool = True, mtu: int = 1450) -> Network:
    """`net-1`, made in second 1, with VNI 1001 unless another is given."""
    return Network(
        id=f"net-{number}",
        project_id="p",
        segment=Segment(
            network_type=NetworkType.VXLAN,
            segmentation_id=1000 + number if vni == 0 else vni,
        ),
        admin_state_up=up,
        mtu=mtu,
        created_at=float(number),
        updated_at=float(number),
    )


def provider(number: int, vlan: int | None = 100, physical_network: str = "physnet1") -> Network:
    kind = NetworkType.FLAT if vlan is None else NetworkType.VLAN
    return Network(
        id=f"provider-{number}",
        project_id="p",
        segment=Segment(network_type=kind, physical_network=physical_network, segmentation_id=vlan),
        created_at=float(number),
        updated_at=float(number),
    )


def subnet(of: Network, cidr: str, gateway_ip: str | None) -> Subnet:
    return Subnet(
        id=f"{of.id}-{cidr}",
        network_id=of.id,
        project_id="p",
        cidr=cidr,
        ip_version=6 if ":" in cidr else 4,
        gateway_ip=gateway_ip,
        allocation_pools=(),
        created_at=of.created_at,
        updated_at=of.created_at,
    )


def interface(of: Subnet, address: str, mac: str = "fa:16:3e:00:00:01") -> RouterInterface:
    return RouterInterface(
        port_id=f"port-{address}",
        network_id=of.network_id,
        subnet_id=of.id,
        ip_address=address,
        cidr=of.cidr,
        mac_address=mac,
    )


def router(
    number: int,
    *interfaces: RouterInterface,
    vni: int | None = None,
    routes: Iterable[HostRoute] = (),
    up: bool = True,
) -> Router:
    return Router(
        id=f"{number:08x}-aaaa-4bbb-8ccc-0123456789ab",
        project_id="p",
        admin_state_up=up,
        interfaces=interfaces,
        routes=tuple(routes),
        vni=vni,
        created_at=float(number),
    )


def attachment(
    of: Network,
    host: str,
    vlan: int | None = None,
    *access: tuple[str, str],
    state: AttachmentState = AttachmentState.WANTED,
) -> Attachment:
    return Attachment(
        network_id=of.id,
        host=host,
        state=state,
        since=0.0,
        vlan=vlan,
        access=tuple(AccessPort(switch=switch, interface=name) for switch, name in access),
    )


def intent(
    fabric: Topology,
    *,
    networks: Iterable[Network] = (),
    subnets: Iterable[Subnet] = (),
    routers: Iterable[Router] = (),
    attachments: Iterable[Attachment] = (),
    drained: Iterable[str] = (),
) -> Intent:
    return Intent(
        topology=fabric,
        networks={each.id: each for each in networks},
        subnets={each.id: each for each in subnets},
        routers={each.id: each for each in routers},
        attachments={f"{each.network_id}@{each.host}": each for each in attachments},
        drained=frozenset(drained),
    )


def refused(planned: Plan) -> list[RefusalCode]:
    """Why what is not planned is not."""
    return [each.code for each in planned.refusals]
