"""Why a container does not get the port that it claims, beside its name's being another's."""

from netwright.model.errors import Conflict


class NoSlotFree(Conflict):
    """Each of the slots has a container that lives, or cannot be had here; the message says so."""


class NameHeld(Conflict):
    """Another container lives by the name, and the claim takes it from somebody else.

    `held_by` names that container and its claim (`wire.ContainerPort.takes`).
    """

    def __init__(self, message: str, *, next: str = "", held_by: str = "") -> None:  # noqa: A002
        super().__init__(message, next=next)
        self.held_by = held_by


class OutsideDriftDomain(Conflict):
    """The port's network lets it move within a zone, rack or set of leaves; the host is outside."""
