"""What can be asked of segments (`server.commands` has the others, and says how)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import Segment, Value
from netwright.server.commands import Command


class SegmentDraft(Value, frozen=True, kw_only=True):
    id: str
    network_id: str
    segment: Segment
    name: str | None = None
    description: str = ""


class CreateSegments(Command, frozen=True, kw_only=True):
    drafts: tuple[SegmentDraft, ...]


class UpdateSegment(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType | None = UNSET
    description: str | UnsetType = UNSET
    if_match: int | None = None


class DeleteSegment(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


# The results: CreateSegments, UpdateSegment a tuple of NetworkSegment, in order; DeleteSegment ()
