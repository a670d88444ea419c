"""Which segment a network gets when its maker does not say: a VLAN or a VNI of the ranges.

The lowest free VLAN. A VNI by the network's id, so that no dice are thrown and servers that choose
at once choose differently: there are millions, and mostly its first candidate is free. The key
(`segment_key`) decides in the end.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2s

from netwright.model.errors import InvalidInput, NoNetworkAvailable
from netwright.model.resources import NetworkType, Segment
from netwright.model.segments import VlanRange, VniRange, is_whole, segment_key, vni_key
from netwright.model.wording import nearest
from netwright.server.world import World

_VNI_ATTEMPTS = 4


class NeedsVnis(Exception):
    """The candidates are all in use: load free VNIs of the ranges, from `start` on, and go on."""

    def __init__(self, start: int) -> None:
        super().__init__(f"free VNIs from {start} on are needed")
        self.start = start


def choose(world: World, network_id: str, wanted: Segment | None) -> Segment:
    """The segment that is asked for, made whole.

    Raises InvalidInput, NoNetworkAvailable, NeedsVnis.
    """
    rules = world.segment_rules
    if wanted is not None and wanted.network_type is NetworkType.VLAN and wanted.physical_network:
        _require_known(wanted.physical_network, rules.vlan_ranges)
    if wanted is not None and is_whole(wanted):
        if wanted.network_type is NetworkType.VLAN and wanted.physical_network is None:
            raise InvalidInput(
                "Invalid input for provider:physical_network. Reason: a VLAN id means nothing "
                "without its physical network.",
                next="name the physical network, or leave the VLAN id out to have one chosen",
            )
        return wanted
    reasons = []
    for kind in rules.tenant_types if wanted is None else (wanted.network_type,):
        if kind is NetworkType.VXLAN:
            found = _free_vni(world, network_id)
        else:
            found = _free_vlan(world, wanted.physical_network if wanted is not None else None)
        if isinstance(found, Segment):
            return found
        reasons.append(found)
    raise NoNetworkAvailable(
        "Unable to create the network. No tenant network is available for allocation: "
        f"{'; '.join(reasons)}.",
        next="give provider:network_type, provider:segmentation_id and, but for vxlan, "
        "provider:physical_network, or set vlan_ranges or vni_ranges in the server's configuration",
    )


def vni_candidates(network_id: str, ranges: Sequence[VniRange]) -> tuple[int, ...]:
    """The VNIs that a network tries first, of its id; none when there are no ranges."""
    size = sum(each.last - each.first + 1 for each in ranges)
    if not size:
        return ()
    digest = blake2s(network_id.encode(), digest_size=8 * _VNI_ATTEMPTS).digest()
    numbers = (int.from_bytes(digest[8 * n : 8 * n + 8]) for n in range(_VNI_ATTEMPTS))
    return tuple(_nth(ranges, number % size) for number in numbers)


def vni_stretches(start: int, ranges: Sequence[VniRange]) -> Iterator[VniRange]:
    """All VNIs of the ranges, each once, from one of them on and around."""
    at = next(n for n, each in enumerate(ranges) if each.first <= start <= each.last)
    yield VniRange(first=start, last=ranges[at].last)
    yield from ranges[at + 1 :]
    yield from ranges[:at]
    if start > ranges[at].first:
        yield VniRange(first=ranges[at].first, last=start - 1)


def _free_vlan(world: World, physical_network: str | None) -> Segment | str:
    """A VLAN that no network has, or why there is none."""
    ranges = world.segment_rules.vlan_ranges
    fitting = [r for r in ranges if r.vlans and physical_network in {None, r.physical_network}]
    for each in fitting:
        for vlan in each.vlans:
            segment = Segment(
                network_type=NetworkType.VLAN,
                physical_network=each.physical_network,
                segmentation_id=vlan,
            )
            if world.segments.get(segment_key(segment)) is None:
                return segment
    where = f" of physical network {physical_network}" if physical_network else ""
    return f"all VLANs{where} in vlan_ranges are in use" if fitting else f"no vlan_ranges{where}"


def _free_vni(world: World, network_id: str) -> Segment | str:
    """A VNI that no network has, or why there is none. Raises NeedsVnis."""
    candidates = vni_candidates(network_id, world.segment_rules.vni_ranges)
    if not candidates:
        return "no vni_ranges"
    for vni in (*candidates, *world.free_vnis):
        if vni is None:
            return "all VNIs in vni_ranges are in use"
        if world.segments.get(vni_key(vni)) is None:
            return Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    raise NeedsVnis(candidates[0])


def _nth(ranges: Sequence[VniRange], number: int) -> int:
    for each in ranges:
        size = each.last - each.first + 1
        if number < size:
            return each.first + number
        number -= size
    raise AssertionError("the number is one of the ranges'")


def _require_known(physical_network: str, ranges: Sequence[VlanRange]) -> None:
    """A mistyped name is told at once, where the configuration says which there are."""
    known = sorted({each.physical_network for each in ranges})
    if ranges and physical_network not in known:
        near = nearest(physical_network, known)
        raise InvalidInput(
            f"Invalid input for provider:physical_network. Reason: physical network "
            f"{physical_network} is unknown; vlan_ranges names {', '.join(known)}"
            f"{f' (nearest: {near})' if near else ''}.",
            next="name one of these, or add it to vlan_ranges in the server's configuration",
        )
