"""Decisions about segments. What changes of one is told with its network."""

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.resources import FurtherSegment, Network
from netwright.model.segment_errors import SegmentInUse, SegmentNotFound
from netwright.model.segments import NetworkSegment, own_segment_id, segment_on
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    SegmentDraft,
    UpdateSegment,
)
from netwright.server.network_segments.keeping import take_further
from netwright.server.networks import check_revision, owned, touched
from netwright.server.world import World


def create(world: World, command: CreateSegments) -> tuple[NetworkSegment, ...]:
    made = []
    for draft in command.drafts:
        network = owned(world, command.caller, draft.network_id)
        made.append(_create(world, network, draft))
    return tuple(made)


def update(world: World, command: UpdateSegment) -> tuple[NetworkSegment, ...]:
    segment, network = _known(world, command.id)
    check_revision(segment.revision_number, command.if_match)
    after = replace(
        segment,
        name=segment.name if command.name is UNSET else command.name,
        description=segment.description if command.description is UNSET else command.description,
    )
    if after != segment:
        after = replace(after, revision_number=segment.revision_number + 1, updated_at=world.now)
        world.of(NetworkSegment).put(after.id, after)
        touched(world, network)
    return (after,)


def delete(world: World, command: DeleteSegment) -> tuple[()]:
    segment, network = _known(world, command.id)
    check_revision(segment.revision_number, command.if_match)
    _require_unused(world, network, segment)
    world.of(NetworkSegment).put(segment.id, None)
    world.segments.put(segment.segment_key, None)
    rest = tuple(one for one in network.further_segments if one.id != segment.id)
    touched(world, replace(network, further_segments=rest))
    return ()


def _create(world: World, network: Network, draft: SegmentDraft) -> NetworkSegment:
    wanted = FurtherSegment(id=draft.id, segment=draft.segment)
    touched(world, take_further(world, network, wanted, draft.name, draft.description))
    made = world.of(NetworkSegment).get(draft.id)
    assert made is not None, "it was just made"
    return made


def _require_unused(world: World, network: Network, segment: NetworkSegment) -> None:
    if segment.id == own_segment_id(network.id):
        raise SegmentInUse(
            f"Segment '{segment.id}' cannot be deleted: it is the own one of network "
            f"{network.id}, with which it goes.",
            next="delete the network, or its further segments",
        )
    on_it = [one.id for one in world.subnets_of(network.id) if one.segment_id == segment.id]
    if on_it:
        raise SegmentInUse(
            f"Segment '{segment.id}' cannot be deleted: subnets are on it ({', '.join(on_it)}).",
            next="delete them first",
        )
    hosts = sorted(
        one.host
        for one in world.attachments.values()
        if one.network_id == network.id and _is_on(world, network, one.host, segment.id)
    )
    if hosts:
        raise SegmentInUse(
            f"Segment '{segment.id}' cannot be deleted: ports are bound by it on hosts "
            f"{', '.join(hosts[:5])}{' and more' if hosts[5:] else ''}.",
            next=f"unbind or delete them first: openstack port list --network {network.id}",
        )


def _is_on(world: World, network: Network, name: str, segment_id: str) -> bool:
    host = world.hosts.get(name)
    found = segment_on(network, host.physical_networks) if host is not None else None
    return found is not None and found.id == segment_id


def _known(world: World, segment_id: str) -> tuple[NetworkSegment, Network]:
    segment = world.of(NetworkSegment).get(segment_id)
    network = world.networks.get(segment.network_id) if segment is not None else None
    if segment is None or network is None:
        raise SegmentNotFound(f"Segment {segment_id} could not be found.")
    return segment, network
