"""Why a container does not get the port that it claims, beside its name's being another's."""

from netwright.model.errors import Conflict


class NoSlotFree(Conflict):
    """Each of the slots has a container that lives, or cannot be had here; the message says so."""


class OutsideDriftDomain(Conflict):
    """The port's network lets it move within a zone, rack or set of leaves; the host is outside."""
