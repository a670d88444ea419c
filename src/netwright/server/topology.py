"""Decides on a new inventory of the fabric: whole, or refused with the element that is wrong.

What stands on the fabric must go on: an attachment keeps its VLAN, and no inventory may join VLAN
domains in which one VLAN is two networks', or take the links away that an attachment comes over.
What only withdraws there is released with the host or leaf that is no more: nobody will confirm it.
A host moves to other leaves with what is attached to it, but from none that does not answer: that
would go on carrying its VLANs on an interface where another host may come to be.
"""

from collections.abc import Iterable

from netwright.model.errors import Conflict
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.resources import Attachment
from netwright.model.routing import Router
from netwright.model.states import AttachmentState
from netwright.model.topology import End, Topology
from netwright.model.topology_checks import check
from netwright.server.commands import ReplaceTopology
from netwright.server.overlay.attachments import release
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.leaf_links import review
from netwright.server.overlay.transit import with_transit_of
from netwright.server.overlay.vlans import place_of
from netwright.server.routers import touched
from netwright.server.world import World

KEY = "fabric"
"""There is one fabric, so one row."""


class TopologyInUse(Conflict):
    """Networks are attached over what the new inventory takes away, or would join."""


def replace(world: World, command: ReplaceTopology) -> Topology:
    """The inventory as it now is. Raises InvalidInput, TopologyInUse."""
    check(command.topology)
    inventory = Inventory(command.topology)
    standing = _standing(world, inventory)
    _move_vlans(world, _vlans(inventory, standing))
    review(world, inventory)
    for router in list(world.of(Router).values()):
        if inventory.has_leaves and router.vni is None:
            after = with_transit_of(world, router, command.topology.fabric)
            if after != router:
                touched(world, after)
    world.topologies.put(KEY, command.topology)
    return command.topology


def _standing(world: World, inventory: Inventory) -> list[Attachment]:
    """The fabric networks' attachments that stay; those that cannot any more are released."""
    stay = []
    for attachment in sorted(
        world.attachments.values(), key=lambda one: (one.host, one.network_id)
    ):
        lost = _lost(inventory, attachment)
        if not lost:
            _require_left(world, inventory, attachment)
            stay.append(attachment)
        elif attachment.state is AttachmentState.WITHDRAWING:
            release(world, attachment)
        else:
            raise TopologyInUse(
                f"The inventory cannot be replaced: network {attachment.network_id} is attached to "
                f"host {attachment.host}, and {lost}.",
                next="keep the links until nothing is bound there: netwright port list --host "
                f"{attachment.host}; the inventory before it still holds",
            )
    return stay


def _require_left(world: World, inventory: Inventory, attachment: Attachment) -> None:
    """Raises TopologyInUse when a leaf cannot be freed of a host that is taken from it."""
    before = world.fabric.inventory
    if attachment.vlan is None or before is None:
        return
    stays = {str(link.upper) for link in inventory.links_of(attachment.host)}
    for link in before.links_of(attachment.host):
        leaf = link.upper.node
        state = world.of(SwitchState).get(leaf)
        is_away = state is not None and state.status is SwitchStatus.UNREACHABLE
        if is_away and inventory.is_leaf(leaf) and str(link.upper) not in stays:
            raise TopologyInUse(
                f"The inventory cannot be replaced: leaf {leaf} does not answer, and has network "
                f"{attachment.network_id} by VLAN {attachment.vlan} on interface "
                f"{link.upper.interface}, which host {attachment.host} would hang on no more.",
                next=f"wait until {leaf} answers, or decommission it (take it out of the "
                "inventory); the inventory before it still holds",
            )


def _lost(inventory: Inventory, attachment: Attachment) -> str:
    """What the new inventory lacks that the attachment needs, in words."""
    if attachment.vlan is not None and inventory.domain_of(attachment.host) is None:
        return f"host {attachment.host} would have no link to a leaf"
    for each in attachment.access:
        if not inventory.is_leaf(each.switch):
            return f"leaf {each.switch}, on whose interface {each.interface} it hangs, is gone"
        there = inventory.neighbour(End(node=each.switch, interface=each.interface))
        if there is not None and there.node != attachment.host:
            return f"interface {each.interface} of leaf {each.switch} would have a link to {there}"
    return ""


def _vlans(inventory: Inventory, standing: Iterable[Attachment]) -> dict[tuple[str, str], int]:
    """The VLANs of all networks in the domains as they are now. Raises TopologyInUse."""
    given: dict[tuple[str, str], int] = {}
    of_place: dict[str, Attachment] = {}
    of_network: dict[tuple[str, str], Attachment] = {}
    for one in standing:
        domain = inventory.domain_of(one.host)
        if one.vlan is None or domain is None:
            continue
        key = (domain.name, one.network_id)
        other = of_place.setdefault(place_of(domain.name, one.vlan), one)
        if other.network_id != one.network_id:
            raise _joined(domain.leaves, f"VLAN {one.vlan} is two networks", other, one)
        other = of_network.setdefault(key, one)
        if other.vlan != one.vlan:
            raise _joined(domain.leaves, f"network {one.network_id} has two VLANs", other, one)
        given[key] = one.vlan
    return given


def _joined(
    leaves: tuple[str, ...], what: str, one: Attachment, other: Attachment
) -> TopologyInUse:
    each = (f"VLAN {a.vlan} of network {a.network_id} on host {a.host}" for a in (one, other))
    return TopologyInUse(
        "The inventory cannot be replaced: it makes one VLAN domain of leaves "
        f"{', '.join(leaves)}, where {what}: {' and '.join(each)}.",
        next=f"unbind the ports of one of them first (netwright port list --host {other.host}); the"
        " inventory before it still holds",
    )


def _move_vlans(world: World, wanted: dict[tuple[str, str], int]) -> None:
    """Domains are named by their leaves, and may have other names now."""
    rows = world.fabric.vlans
    for key, vlan in rows.items():
        if wanted.get(key) != vlan:
            rows.put(key, None)
    for key, vlan in wanted.items():
        if rows.get(key) != vlan:
            rows.put(key, vlan)
