"""Networks' segments as requests name them, one or several (`segments`), and as they are shown."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import BadRequest
from netwright.model.resources import FurtherSegment, NetworkType, Segment
from netwright.model.segments import VNIS
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2.values import Body, or_default

WIRE = {
    "network_type": "provider:network_type",
    "physical_network": "provider:physical_network",
    "segmentation_id": "provider:segmentation_id",
}
PREFIX = "provider:"
PhysicalNetwork = Annotated[str, Meta(min_length=1, max_length=64)]
_VLAN_ID_MAX = 4094  # IEEE 802.1Q: 0 and 4095 are reserved


class SegmentBody(Body, frozen=True, kw_only=True, rename=WIRE):
    network_type: NetworkType | UnsetType | None = UNSET
    physical_network: PhysicalNetwork | UnsetType | None = UNSET
    segmentation_id: int | UnsetType | None = UNSET


Segments = Annotated[tuple[SegmentBody, ...], Meta(min_length=1, max_length=100)]


class ShownSegment(msgspec.Struct, frozen=True, kw_only=True, rename=WIRE):
    network_type: str
    physical_network: str | None
    segmentation_id: int | None


def segment(
    network_type: NetworkType | UnsetType | None,
    physical_network: str | UnsetType | None,
    segmentation_id: int | UnsetType | None,
    *,
    prefix: str = PREFIX,
) -> Segment | None:
    """The segment that is named so; None: none is. `prefix`: of the attributes' names."""
    network_type = or_default(network_type, None)
    physical_network = or_default(physical_network, None)
    segmentation_id = or_default(segmentation_id, None)
    if network_type is None:
        for name, given in (
            ("physical_network", physical_network),
            ("segmentation_id", segmentation_id),
        ):
            if given is not None:
                raise invalid(prefix + name, f"it needs {prefix}network_type beside it")
        return None
    if network_type is NetworkType.FLAT:
        if physical_network is None:
            raise invalid(f"{prefix}physical_network", "a flat network needs one")
        if segmentation_id is not None:
            raise invalid(f"{prefix}segmentation_id", "a flat network has none")
    if network_type is NetworkType.VXLAN and physical_network is not None:
        raise invalid(f"{prefix}physical_network", "a vxlan network has none")
    if segmentation_id is not None:
        last = VNIS[-1] if network_type is NetworkType.VXLAN else _VLAN_ID_MAX
        if not 1 <= segmentation_id <= last:
            raise invalid(
                f"{prefix}segmentation_id",
                f"{segmentation_id} is not in 1 to {last}, the ids of {network_type} networks",
            )
    return Segment(
        network_type=network_type,
        physical_network=physical_network,
        segmentation_id=segmentation_id,
    )


def several(
    alone: Segment | None, wanted: Sequence[SegmentBody] | UnsetType | None
) -> tuple[Segment | None, tuple[FurtherSegment, ...]]:
    """A network's own segment, and the further ones that it is to have beside it."""
    if wanted is UNSET or wanted is None:
        return alone, ()
    if alone is not None:
        raise BadRequest("Segments and provider values cannot both be set.")
    found = [segment(one.network_type, one.physical_network, one.segmentation_id) for one in wanted]
    if None in found:
        raise invalid("segments", "each needs its provider:network_type")
    own, *rest = (one for one in found if one is not None)
    return own, tuple(FurtherSegment(id=new_id(), segment=one) for one in rest)


def shown(own: Segment, further: Sequence[FurtherSegment]) -> Sequence[ShownSegment] | UnsetType:
    """All of a network's segments, where there are several."""
    if not further:
        return UNSET
    return [_shown(own), *(_shown(one.segment) for one in further)]


def network_type(own: Segment, further: Sequence[FurtherSegment]) -> str | UnsetType:
    """Of a network with one segment; the others' are in their list (multi-provider)."""
    return UNSET if further else own.network_type


def physical_network(own: Segment, further: Sequence[FurtherSegment]) -> str | UnsetType | None:
    return UNSET if further else own.physical_network


def segmentation_id(own: Segment, further: Sequence[FurtherSegment]) -> int | UnsetType | None:
    return UNSET if further else own.segmentation_id


def _shown(one: Segment) -> ShownSegment:
    return ShownSegment(
        network_type=one.network_type,
        physical_network=one.physical_network,
        segmentation_id=one.segmentation_id,
    )
