"""A line of the event log, as the store writes and reads it."""

from typing import NamedTuple

from netwright.model.wire import Kind


class EventRow(NamedTuple):
    """A line of the event log. `hosts` None: it concerns every host.

    `kind` None: a newer server's, which nobody here knows: it has its place in the log, and is
    passed over.
    """

    seq: int
    kind: Kind | None
    id: str
    hosts: frozenset[str] | None
    left_hosts: frozenset[str]
    body: bytes | None
