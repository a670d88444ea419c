"""VPCs' transit VNIs (L3VNIs): which router needs one, and which it gets.

One is needed for symmetric routing between networks (RFC 9135), and by a VPC with interfaces, or a
gateway, in a provider network and with interfaces in the fabric's: they meet at the border.
It is the router's until that is deleted, and no network's meanwhile.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from netwright.model.errors import Conflict
from netwright.model.resources import NetworkType
from netwright.model.routing import Router
from netwright.model.segments import VniRange, vni_key
from netwright.model.topology import FabricSettings, Irb
from netwright.server.overlay.holds import HeldVni
from netwright.server.segments import vni_candidates
from netwright.server.world import World


class NeedsTransitVnis(Exception):
    """More VNIs of the inventory's `l3vnis` must be looked at, from `start` on."""

    def __init__(self, start: int, ranges: Sequence[VniRange]) -> None:
        super().__init__(f"free transit VNIs from {start} on are needed")
        self.start = start
        self.ranges = ranges


class NoTransitVni(Conflict):
    """The fabric has no VNI left for a VPC that needs one."""


def ranges_of(fabric: FabricSettings) -> tuple[VniRange, ...]:
    return tuple(VniRange(first=each.first, last=each.last) for each in fabric.l3vnis)


def with_transit(world: World, router: Router) -> Router:
    """The router with its transit VNI, if it needs one. Raises NoTransitVni, NeedsTransitVnis."""
    inventory = world.fabric.inventory
    if router.vni is not None or inventory is None or not inventory.has_leaves:
        return router
    return with_transit_of(world, router, inventory.topology.fabric)


def with_transit_of(world: World, router: Router, fabric: FabricSettings) -> Router:
    """The router with a VNI of these settings, if it needs one by them."""
    if router.vni is not None or not _needs_one(world, router, fabric):
        return router
    ranges = ranges_of(fabric)
    candidates = vni_candidates(router.id, ranges)
    if not candidates:
        raise _none_left(router)
    for vni in (*candidates, *world.fabric.free_vnis):
        if vni is None:
            raise _none_left(router)
        if world.segments.get(vni_key(vni)) is None:
            world.segments.put(vni_key(vni), router.id)
            world.fabric.held_vnis.put(vni_key(vni), HeldVni(vni, router.id))
            return replace(router, vni=vni)
    raise NeedsTransitVnis(candidates[0], ranges)


def release_vni(world: World, vni: int) -> None:
    """Nobody has the VNI any more; where a controller was, it rests until switches are clear."""
    key = vni_key(vni)
    is_configured = world.fabric.has_controller
    world.segments.put(key, RESTING if is_configured else None)
    world.fabric.held_vnis.put(key, HeldVni(vni, None) if is_configured else None)


RESTING = ""
"""Who has a VNI that rests: no network and no router."""


def _needs_one(world: World, router: Router, fabric: FabricSettings) -> bool:
    places = (*router.interfaces, *router.outer)
    networks = [world.networks.get(each.network_id) for each in places]
    kinds = {network.segment.network_type for network in networks if network is not None}
    if NetworkType.VXLAN not in kinds:
        return False
    return fabric.irb is Irb.SYMMETRIC or len(kinds) > 1


def _none_left(router: Router) -> NoTransitVni:
    return NoTransitVni(
        f"Router {router.id} cannot be routed over the fabric: it needs a VNI of its own, and the "
        "inventory has none left to give (fabric.l3vnis).",
        next="ask an administrator to give the fabric more of them (netwright topology apply)",
    )
