"""What can be asked of containers' ports (`server.commands` has the others, and says how)."""

from netwright.model.containers import PodIdentity
from netwright.server.commands import Command, PortDraft


class ClaimPort(Command, frozen=True, kw_only=True):
    """Have the port of this name for a container on `draft.host`: made, bound or moved there.

    `epoch` is the life of the host's agent that asks. With `slots` the draft's unique name is a
    template. Where pods' claims are checked, it takes no port from a pod that lives on another host
    but from that of uid `takes_from`, which is known to be over; None: nobody checks.
    `wire.ContainerPort` says what the rest means, `takes` too. The result is the Port.
    """

    epoch: str
    draft: PortDraft
    slots: int = 0
    keep: str = ""
    pod: PodIdentity | None = None
    replaces: str = ""
    attempt: int = 0
    takes_from: str | None = None
    takes: str | None = None


class EndClaim(Command, frozen=True, kw_only=True):
    """A container on the host ended; "": whichever has the name there. The result is ().

    With `attempt`, only if it has the port by no newer claim than that.
    """

    host: str
    unique_name: str
    container_id: str = ""
    attempt: int = 0


class LetGoOfOwners(Command, frozen=True, kw_only=True):
    """These owners are gone from a cluster: what is kept of these ports while they exist, goes."""

    cluster: str
    owners: frozenset[str]
    port_ids: tuple[str, ...]
