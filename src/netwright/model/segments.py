"""Segments: what keeps two networks apart, and ranges of VLANs."""

import re

from netwright.model.resources import NetworkType, Segment, Value

_RANGE = re.compile(r"([^\s:]+)(?::([0-9]{1,4}):([0-9]{1,4}))?")
_VLANS = range(1, 4095)


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


def segment_key(segment: Segment) -> str:
    """What no two networks share: the VLAN of a physical network (0 is untagged), or the VNI."""
    if segment.network_type is NetworkType.VXLAN:
        return f"vxlan/{segment.segmentation_id}"
    return f"{segment.physical_network}/{segment.segmentation_id or 0}"


def is_whole(segment: Segment | None) -> bool:
    """Whether a segment says all, so that none need be chosen."""
    if segment is None:
        return False
    return segment.network_type is NetworkType.FLAT or segment.segmentation_id is not None
