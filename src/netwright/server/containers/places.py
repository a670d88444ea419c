"""How far a named port may move: within its network's drift domain (ADR 33)."""

from collections.abc import Iterable

from netwright.model.addressing_errors import AvailabilityZoneNotFound
from netwright.model.errors import InvalidInput
from netwright.model.resources import ZONE, DriftDomain, Network
from netwright.server.overlay.inventory import Inventory
from netwright.server.world import World


def require_known(world: World, domain: DriftDomain) -> None:
    """Raises InvalidInput for a domain that the inventory, where there is one, cannot tell."""
    inventory = world.fabric.inventory
    if domain is None or inventory is None or not inventory.topology.switches:
        return
    if domain == ZONE and not any(switch.zone for switch in inventory.topology.switches):
        raise InvalidInput(
            "Invalid input for drift_domain. Reason: no switch of the inventory has a zone.",
            next="give the switches their zones (netwright topology apply), or name leaves",
        )
    if isinstance(domain, str):
        return
    unknown = [leaf for leaf in domain if not inventory.is_leaf(leaf)]
    if unknown:
        raise InvalidInput(
            f"Invalid input for drift_domain. Reason: the inventory has no leaf {_words(unknown)};"
            f" it has: {_words(sorted(inventory.leaves()))}.",
            next="name leaves of the inventory (netwright topology show)",
        )


def require_zones(world: World, hints: Iterable[str]) -> None:
    """Raises AvailabilityZoneNotFound for a zone that the inventory has not."""
    inventory = world.fabric.inventory
    known = {switch.zone for switch in inventory.topology.switches} if inventory else set()
    for zone in hints:
        if not zone or zone not in known:
            there = _words(sorted(known - {""})) or "none"
            raise AvailabilityZoneNotFound(
                f"AvailabilityZone {zone} could not be found.",
                next=f"the inventory's switches are in these: {there} (netwright topology show)",
            )


def obstacle(world: World, network: Network, last: str, host: str) -> str:
    """Why a port that was bound on host `last` may not come to `host`; "": it may.

    `last` "": it was bound nowhere yet, and only the leaves that a network names bound it.
    """
    domain, inventory = network.drift_domain, world.fabric.inventory
    if domain is None or last == host:
        return ""
    assert inventory is not None, "the inventory was not loaded"
    if not isinstance(domain, str):
        return _outside(inventory, network, domain, last, host)
    if not last:
        return ""
    places = zones if domain == ZONE else racks
    here, there = places(inventory, host), places(inventory, last)
    if here and there and not here.isdisjoint(there):
        return ""
    return (
        f"host {host} is in {_place(domain, here)}, and the port was last on host {last} in"
        f" {_place(domain, there)}: network {_name(network)} lets its ports move within a {domain}"
    )


def zones(inventory: Inventory, host: str) -> frozenset[str]:
    """The zones of the switches that the host hangs on."""
    return frozenset(
        zone for switch in inventory.above(host) if (zone := inventory.zone_of(switch))
    )


def racks(inventory: Inventory, host: str) -> frozenset[str]:
    """The VLAN domain of the host's leaves."""
    domain = inventory.domain_of(host)
    return frozenset() if domain is None else frozenset({domain.name})


def _outside(
    inventory: Inventory, network: Network, leaves: tuple[str, ...], last: str, host: str
) -> str:
    here = inventory.leaves_of(host)
    if here and not set(here).isdisjoint(leaves):
        return ""
    was = (
        f"; the port was last on host {last}, below {_words(inventory.leaves_of(last))}"
        if last
        else ""
    )
    return (
        f"host {host} is below {_words(here)}, and network {_name(network)} keeps its ports to"
        f" hosts below {_words(leaves)}{was}"
    )


def _place(domain: str, places: Iterable[str]) -> str:
    names = sorted(places)
    if not names:
        return f"no {domain} that the inventory knows"
    return f"{domain} {_words(names)}"


def _words(names: Iterable[str]) -> str:
    return ", ".join(names) or "no leaf that the inventory knows"


def _name(network: Network) -> str:
    return f"{network.name} ({network.id})" if network.name else network.id
