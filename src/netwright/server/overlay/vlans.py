"""Which VLAN a fabric network has in a VLAN domain: one, the same on all its hosts.

Tried first are a few that follow from network and domain, so that what is read does not grow with
what is stored; then the lowest that is free, of which there are 4,093 at most. That no VLAN of a
domain is two networks' and no network has two is the schema's; a domain's VLAN is a network's until
its last attachment there has ended (ADR 23).
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2s

from netwright.model.topology import VlanInterval
from netwright.model.vlan_domains import VlanDomain, size
from netwright.server.world import World

_ATTEMPTS = 8


class NeedsVlans(Exception):
    """The VLANs in use in a domain must be loaded, all of them."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"the VLANs in use in VLAN domain {domain} are needed")
        self.domain = domain


def place_of(domain: str, vlan: int) -> str:
    """What no two networks share."""
    return f"{domain}/{vlan}"


def candidates(domain: VlanDomain, network_id: str) -> tuple[int, ...]:
    """The VLANs that the network tries first in the domain; none when it has no pool."""
    count = size(domain.vlans)
    if not count:
        return ()
    seed = f"{domain.name}/{network_id}".encode()
    digest = blake2s(seed, digest_size=4 * _ATTEMPTS).digest()
    numbers = (int.from_bytes(digest[4 * n : 4 * n + 4]) for n in range(_ATTEMPTS))
    return tuple(dict.fromkeys(_nth(domain.vlans, number % count) for number in numbers))


def free_vlan(world: World, domain: VlanDomain, network_id: str) -> int | None:
    """The network's VLAN in the domain, or one that it may have; None: all are in use.

    Raises NeedsVlans.
    """
    given = world.fabric.vlans.get((domain.name, network_id))
    if given is not None:
        return given
    for vlan in candidates(domain, network_id):
        if _is_free(world, domain, vlan):
            return vlan
    if not domain.vlans:
        return None
    if domain.name not in world.fabric.whole_domains:
        raise NeedsVlans(domain.name)
    return next((vlan for vlan in _all(domain.vlans) if _is_free(world, domain, vlan)), None)


def take_vlan(world: World, domain: VlanDomain, network_id: str) -> int:
    """Give the network its VLAN; whether there is one was asked before (`free_vlan`)."""
    vlan = free_vlan(world, domain, network_id)
    assert vlan is not None, f"no VLAN of domain {domain.name} is free for {network_id}"
    world.fabric.vlans.put((domain.name, network_id), vlan)
    world.fabric.vlan_holders.put(place_of(domain.name, vlan), network_id)
    return vlan


def give_vlan_back(world: World, domain: str, network_id: str) -> None:
    """The network has no attachment in the domain any more."""
    vlan = world.fabric.vlans.get((domain, network_id))
    if vlan is not None:
        world.fabric.vlans.put((domain, network_id), None)
        world.fabric.vlan_holders.put(place_of(domain, vlan), None)


def exhausted(domain: VlanDomain, network_id: str) -> str:
    """Why the domain has no VLAN for the network, in words."""
    if not domain.vlans:
        return (
            f"VLAN domain {domain.name} (leaves {', '.join(domain.leaves)}) has no VLANs to give "
            f"to network {network_id}: set fabric.vlans in the inventory (netwright topology apply)"
        )
    pool = ", ".join(f"{each.first}-{each.last}" for each in domain.vlans)
    return (
        f"all VLANs of VLAN domain {domain.name} (leaves {', '.join(domain.leaves)}; pool {pool}) "
        f"are in use, so that network {network_id} gets none there: unbind what is not needed, or "
        "give the domain more in the inventory (fabric.vlans, fabric.domain_vlans)"
    )


def _is_free(world: World, domain: VlanDomain, vlan: int) -> bool:
    return world.fabric.vlan_holders.get(place_of(domain.name, vlan)) is None


def _all(vlans: Sequence[VlanInterval]) -> Iterator[int]:
    for each in sorted(vlans, key=lambda each: each.first):
        yield from range(each.first, each.last + 1)


def _nth(vlans: Sequence[VlanInterval], number: int) -> int:
    for each in vlans:
        count = each.last - each.first + 1
        if number < count:
            return each.first + number
        number -= count
    raise AssertionError("the number is one of the pool's")
