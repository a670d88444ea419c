"""Segments: what keeps two networks apart, and what networks get whose makers do not say.

A network has a segment of its own, made and gone with it. One of VLANs (or flat) may have further
ones on other physical networks: hosts are on the first whose physical network they have, and
addresses of subnets that are on a segment are of use there alone (`docs/adr/0054`).
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from uuid import UUID, uuid5

from netwright.model.resources import FurtherSegment, Network, NetworkType, Segment, Value

_RANGE = re.compile(r"([^\s:]+)(?::([0-9]{1,4}):([0-9]{1,4}))?")
_VNI_RANGE = re.compile(r"([0-9]{1,8}):([0-9]{1,8})")
_VLANS = range(1, 4095)

VNIS = range(1, 1 << 24)
"""24 bits (RFC 7348, 5); 0 is left to those to whom it means none."""

MTU_MAX = 65535
MTU_DEFAULT = 1500
VXLAN_OVERHEAD = 50
"""What VXLAN adds to a frame's payload over IPv4: IP, UDP, VXLAN, the inner Ethernet header."""


class VlanRange(Value, frozen=True, kw_only=True):
    """VLANs of a physical network that the server may give to networks; both ends inside.

    A physical network that is only named gives none: networks on it name their own.
    """

    physical_network: str
    first: int = 1
    last: int = 0

    @property
    def vlans(self) -> range:
        return range(self.first, self.last + 1)


def parse_vlan_range(text: str) -> VlanRange:
    """`PHYSICAL_NETWORK[:FIRST:LAST]`. Raises ValueError, which says what is wrong."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"vlan_ranges holds {text!r}: write PHYSICAL_NETWORK:FIRST:LAST, or PHYSICAL_NETWORK"
        )
    if found[2] is None:
        return VlanRange(physical_network=found[1])
    first, last = int(found[2]), int(found[3])
    if first not in _VLANS or last not in _VLANS or first > last:
        raise ValueError(f"vlan_ranges holds {text!r}: VLANs are 1 to 4094, the first not above")
    return VlanRange(physical_network=found[1], first=first, last=last)


class VniRange(Value, frozen=True, kw_only=True):
    """VNIs that the server may give to networks; both ends inside."""

    first: int
    last: int


def parse_vni_range(text: str) -> VniRange:
    """`FIRST:LAST`. Raises ValueError, which says what is wrong."""
    found = _VNI_RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"vni_ranges holds {text!r}: write FIRST:LAST")
    first, last = int(found[1]), int(found[2])
    if first not in VNIS or last not in VNIS or first > last:
        raise ValueError(
            f"vni_ranges holds {text!r}: VNIs are 1 to {VNIS[-1]}, the first not above the last"
        )
    return VniRange(first=first, last=last)


class SegmentRules(Value, frozen=True, kw_only=True):
    """What the configuration says of networks' segments.

    `tenant_types` are tried in order for a network whose maker names no type. `fabric_mtu` is what
    the links between hosts and switches carry, so that a VXLAN network's is less.
    """

    vlan_ranges: tuple[VlanRange, ...] = ()
    vni_ranges: tuple[VniRange, ...] = ()
    tenant_types: tuple[NetworkType, ...] = (NetworkType.VLAN,)
    fabric_mtu: int = MTU_DEFAULT

    def mtu_max(self, network_type: NetworkType) -> int:
        return self.fabric_mtu - VXLAN_OVERHEAD if network_type is NetworkType.VXLAN else MTU_MAX

    def mtu_default(self, network_type: NetworkType) -> int:
        return MTU_DEFAULT if network_type is not NetworkType.VXLAN else self.mtu_max(network_type)


SEGMENT_RULES = SegmentRules()


def segment_key(segment: Segment) -> str:
    """What no two networks share: the VLAN of a physical network (0 is untagged), or the VNI."""
    if segment.network_type is NetworkType.VXLAN:
        return vni_key(segment.segmentation_id)
    return f"{segment.physical_network}/{segment.segmentation_id or 0}"


def vni_key(vni: int | None) -> str:
    return f"vxlan/{vni}"


def is_whole(segment: Segment | None) -> bool:
    """Whether a segment says all, so that none need be chosen."""
    if segment is None:
        return False
    return segment.network_type is NetworkType.FLAT or segment.segmentation_id is not None


# The segments of one network


class NetworkSegment(Value, frozen=True, kw_only=True):
    """A segment as the Networking API keeps it, a network's own or a further one."""

    id: str
    network_id: str
    network_type: NetworkType
    physical_network: str | None = None
    segmentation_id: int | None = None
    name: str | None = None
    description: str = ""
    revision_number: int = 0
    created_at: float
    updated_at: float

    @property
    def segment(self) -> Segment:
        return Segment(
            network_type=self.network_type,
            physical_network=self.physical_network,
            segmentation_id=self.segmentation_id,
        )

    @property
    def segment_key(self) -> str:
        return segment_key(self.segment)


_OWN_IDS = UUID("6c1d3b0a-8f0e-5c55-9c0b-0f7a51f0a254")


@lru_cache(maxsize=4096)  # of a network whose port is bound it is asked several times
def own_segment_id(network_id: str) -> str:
    """The id of a network's own segment: the same on all servers, whoever writes it down."""
    return str(uuid5(_OWN_IDS, network_id))


def own_segment(network: Network, now: float) -> NetworkSegment:
    """A network's own segment, as it is at first."""
    return segment_at_first(network.id, own_segment_id(network.id), network.segment, now)


def segment_at_first(network_id: str, id_: str, segment: Segment, now: float) -> NetworkSegment:
    return NetworkSegment(
        id=id_,
        network_id=network_id,
        network_type=segment.network_type,
        physical_network=segment.physical_network,
        segmentation_id=segment.segmentation_id,
        revision_number=1,
        created_at=now,
        updated_at=now,
    )


def segments_of(network: Network) -> Iterator[FurtherSegment]:
    """All of a network's segments, its own first."""
    yield FurtherSegment(id=own_segment_id(network.id), segment=network.segment)
    yield from network.further_segments


def segment_on(network: Network, physical_networks: Collection[str]) -> FurtherSegment | None:
    """The segment by which a host has a provider network; None: it reaches none of them."""
    for one in segments_of(network):
        if one.segment.physical_network in physical_networks:
            return one
    return None


def segments_in_words(network: Network) -> str:
    """The physical networks that a host must have one of, to say which."""
    found = (one.segment.physical_network or "" for one in segments_of(network))
    return " or ".join(dict.fromkeys(found))
