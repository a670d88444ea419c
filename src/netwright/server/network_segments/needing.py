"""What each command about segments must have loaded (`needs`)."""

from netwright.model.resources import Segment
from netwright.model.segments import NetworkSegment, is_whole, segment_key
from netwright.server.needs import Needs
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    UpdateSegment,
)


def create(needs: Needs, command: CreateSegments) -> None:
    for draft in command.drafts:
        needs.changed_networks.add(draft.network_id)
        need_segment(needs, draft.id, draft.segment)


def need_segment(needs: Needs, id_: str, segment: Segment | None) -> None:
    """Who has this segment; or, where it does not say all, which there are to choose from."""
    if segment is not None and is_whole(segment):
        needs.segments.add(segment_key(segment))
    else:
        needs.segment_choices[id_] = segment.network_type if segment else None


def update(needs: Needs, command: UpdateSegment) -> None:
    needs.plain[NetworkSegment].add(command.id)


def delete(needs: Needs, command: DeleteSegment) -> None:
    needs.plain[NetworkSegment].add(command.id)
    needs.deleted_segments.add(command.id)
