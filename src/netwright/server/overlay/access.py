"""Bare metal: the leaf interfaces that a machine hangs on, untagged, one network on each."""

from netwright.model.resources import AccessPort, Network, Prepared
from netwright.model.topology import End
from netwright.server.overlay.capacity import vni_refusal
from netwright.server.overlay.holds import AccessHold
from netwright.server.overlay.links import LINKS, access_of, named_by
from netwright.server.world import World


def access_refusal(world: World, network_id: str, port_id: str, host: str, kind: Prepared) -> str:
    """Why the machine cannot have its interfaces in the network; "" when it can."""
    wanted = access_of(kind.profile)
    if isinstance(wanted, str):
        return wanted
    inventory = world.fabric.inventory
    assert inventory is not None, "the inventory was not loaded"
    for each in wanted:
        where = f"interface {each.interface} of leaf {each.switch}"
        if not inventory.is_leaf(each.switch):
            known = "no switch" if each.switch not in inventory.switches else "no leaf"
            return (
                f"{each.switch} is {known} of the inventory, and {host} would hang on its "
                f"interface {each.interface}: correct {LINKS}, or the inventory "
                "(netwright topology apply)"
            )
        there = inventory.neighbour(End(node=each.switch, interface=each.interface))
        if there is not None and there.node != host:
            return (
                f"{where} has a link to {there} in the inventory, so that machine {host} cannot "
                f"hang on it: correct {LINKS}, or the inventory"
            )
        held = world.fabric.access.get((each.switch, each.interface))
        if held is not None and (held.port_id, held.host) != (port_id, host):
            return (
                f"{where} is machine {held.host}'s in network {held.network_id} (port "
                f"{held.port_id}), so that machine {host} cannot have it: unbind that port first"
            )
    return vni_refusal(world, inventory, network_id, {each.switch for each in wanted})


def hold_access(world: World, network: Network, port_id: str, host: str, kind: Prepared) -> None:
    """Take the interfaces that the profile names; what the port had there else, it gives back."""
    release_access(world, port_id, host)
    for each in named_by(kind.profile):
        key = (each.switch, each.interface)
        world.fabric.access.put(key, AccessHold(network.id, host, port_id))


def release_access(world: World, port_id: str, host: str) -> None:
    """Another may have the interfaces at once: a leaf's configuration says one network of each."""
    mine = [
        key
        for key, held in world.fabric.access.items()
        if (held.port_id, held.host) == (port_id, host)
    ]
    for key in mine:
        world.fabric.access.put(key, None)


def holds_of(world: World, network_id: str, host: str) -> tuple[AccessPort, ...]:
    """The interfaces of all the network's ports that are bound to the machine."""
    return tuple(
        AccessPort(switch=switch, interface=interface)
        for (switch, interface), held in sorted(world.fabric.access.items())
        if (held.network_id, held.host) == (network_id, host)
    )
