"""What networks and VPCs are wherever they are: the part of a plan that no switch enters. Pure.

    networks, subnets, routers, settings ─▶ Overlays ─ of a fabric network: VNI, targets, gateway
                                                     ─ of a VPC: VRF, transit VNI, its networks
                                                     ─ of a VPC's way out: provider network, address
                                                     ─ what is refused, and why

Values are compared by content, so that what a change left alone is known: the planner plans those
leaves anew that carry something else than before.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netwright.fabric import naming, vpcs
from netwright.fabric.config import AnycastGateway, RouteTargets
from netwright.fabric.intent import Intent
from netwright.fabric.naming import age
from netwright.fabric.refusals import Refusal, RefusalCode, called
from netwright.fabric.vpcs import Vpc, WayOut
from netwright.model.resources import Network, NetworkType, Value
from netwright.model.routing import Router
from netwright.model.topology import FabricSettings


class Overlay(Value, frozen=True, kw_only=True):
    """A fabric network, the same on all leaves."""

    network_id: str
    called: str
    age: tuple[float, str]
    vni: int
    mtu: int
    route_targets: RouteTargets
    vpc: Vpc | None = None
    gateway: AnycastGateway | None = None


class Broken(NamedTuple):
    """A fabric network that cannot be planned anywhere, and why."""

    called: str
    code: RefusalCode
    why: str


class Overlays(NamedTuple):
    """`networks` and `broken` by network id; together they are all fabric networks."""

    networks: Mapping[str, Overlay]
    broken: Mapping[str, Broken]
    ways_out: tuple[WayOut, ...]
    refusals: tuple[Refusal, ...]


def overlays(intent: Intent) -> Overlays:
    """Everything that holds on all switches alike."""
    fabric = [
        network
        for network in intent.networks.values()
        if network.segment.network_type is NetworkType.VXLAN
    ]
    broken = {network.id: why for network in fabric if (why := _why_not(network))}
    whole = [network for network in fabric if network.id not in broken]
    refused = _share_vnis(whole, intent.routers.values())
    broken |= {each.id: why for each, why in refused if isinstance(each, Network)}
    robbed = {each.id: why.why for each, why in refused if isinstance(each, Router)}
    usable = {network.id: network for network in whole if network.id not in broken}
    made = vpcs.vpcs(intent, usable, robbed)
    return Overlays(
        networks={
            network.id: _overlay(network, intent.topology.fabric, made.gateways)
            for network in usable.values()
        },
        broken=broken,
        ways_out=made.ways_out,
        refusals=made.refusals,
    )


def _why_not(network: Network) -> Broken | None:
    if network.segment.segmentation_id is None:
        return Broken(called(network), RefusalCode.NO_VNI, "it has no VNI")
    if not network.admin_state_up:
        return Broken(called(network), RefusalCode.ADMIN_DOWN, "it is administratively down")
    return None


def _share_vnis(
    networks: Iterable[Network], routers: Iterable[Router]
) -> list[tuple[Network | Router, Broken]]:
    """Those whose VNI an older network or router has."""
    claims: dict[int, list[Network | Router]] = {}
    for network in networks:
        assert network.segment.segmentation_id is not None
        claims.setdefault(network.segment.segmentation_id, []).append(network)
    for router in routers:
        if router.vni is not None:
            claims.setdefault(router.vni, []).append(router)
    found: list[tuple[Network | Router, Broken]] = []
    for vni, claimants in claims.items():
        if len(claimants) > 1:
            first, *others = sorted(claimants, key=age)
            found += [
                (
                    each,
                    Broken(
                        called(each),
                        RefusalCode.VNI_TAKEN,
                        f"its VNI {vni} is also that of {called(first)}, which is older",
                    ),
                )
                for each in others
            ]
    return found


def _overlay(
    network: Network,
    settings: FabricSettings,
    gateways: Mapping[str, tuple[Vpc, AnycastGateway | None]],
) -> Overlay:
    vni = network.segment.segmentation_id
    assert vni is not None
    vpc, gateway = gateways.get(network.id, (None, None))
    return Overlay(
        network_id=network.id,
        called=called(network),
        age=age(network),
        vni=vni,
        mtu=network.mtu,
        route_targets=naming.route_targets(settings.asn, vni),
        vpc=vpc,
        gateway=gateway,
    )
