"""A line of the event log, as the store writes and reads it."""

from typing import NamedTuple

from netwright.model.wire import Kind


class EventRow(NamedTuple):
    """A line of the event log. `hosts` None: it concerns every host."""

    seq: int
    kind: Kind
    id: str
    hosts: frozenset[str] | None
    left_hosts: frozenset[str]
    body: bytes | None
