"""What the controller asks of a driver: read a switch back, change it in order, tell of its links.

A driver keeps no memory of what it has set: `read` asks the switch. What bears no mark of ours on
a switch is neither read as ours nor touched. Every method is bounded in time by the driver, and
raises `DeviceError` naming the switch, and the interface and network where there is one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from netwright.fabric.changes import Change
from netwright.fabric.config import SwitchConfig
from netwright.model.errors import DeviceError
from netwright.model.resources import Value


class Actual(Value, frozen=True, kw_only=True):
    """A switch as it is: our configuration on it, and its interfaces' links (name → up).

    `boot_id` changes when the switch has started anew, so that it is known to have been empty.
    `isolation` says why no other switch hears it, so that what its hosts send goes nowhere; "" when
    one does. `lost_sessions` are neighbours that it has no EVPN session with. `is_partial`: its
    control plane does not answer; what only that knows is missing in `config`, and can be neither
    judged nor changed. `token` is the highest that wrote to it; 0: none, or it keeps none.
    """

    config: SwitchConfig
    links: Mapping[str, bool]
    boot_id: str
    isolation: str = ""
    lost_sessions: tuple[str, ...] = ()
    is_partial: bool = False
    token: int = 0


class Learned(Value, frozen=True, kw_only=True):
    """What a switch knows of a VNI by EVPN: its own multicast route's RD and targets, and VTEPs.

    `remote_vteps` are those from which it imported the VNI's type-3 routes.
    """

    vni: int
    rd: str
    export_targets: frozenset[str]
    import_targets: frozenset[str]
    remote_vteps: frozenset[str]


class OvertakenError(DeviceError):
    """The switch has seen a higher token: another controller holds the lease now."""


class Driver(Protocol):
    """One switch. Calls for one switch are serial; the controller sees to that."""

    async def read(self) -> Actual:
        """What is ours on the switch now."""
        ...

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        """Carry the changes out, in this order. Raises at the first that fails; none is undone.

        What stands then is read back by the controller, which rolls back or says which half stands.

        `token` is that of the lease (law 3). The switch itself keeps the highest token that wrote
        to it, with our mark: a lower one raises `OvertakenError` and changes nothing, a higher one
        is kept before the first change. Both before every change, not only the first, so that a
        controller that was paused halfway writes at most the one change that it was in. Without
        changes it only takes the switch over: a new holder does so everywhere before it plans. A
        switch that has started anew may have forgotten the token.
        """
        ...

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        """What the switch's control plane says of these VNIs; those it does not know are absent."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yields whenever something on the switch may have changed (links, configuration).

        It may be early or twice, never late by more than a second: the controller reads then.
        """
        ...

    async def close(self) -> None: ...
