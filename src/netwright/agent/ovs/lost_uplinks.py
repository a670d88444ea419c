"""Bridges whose uplink has had no verified path for a while: their ports reach nothing outside.

    whole ──no member verified──▶ doubtful ──LOST_S──▶ lost ──a member verified──▶ whole

A restart of Open vSwitch or of the switch above leaves all members unverified for a second or two,
and traffic is held up by then (`bfd_hold`): that is not worth a word about every port.
"""

from collections.abc import Callable, Iterable, Mapping

from netwright.agent.ovs.witness import UplinkState

LOST_S = 5.0


class LostUplinks:
    """`clock` counts seconds; `look` whenever the uplinks may have changed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._causes: dict[str, str] = {}

    def look(self, uplinks: Iterable[UplinkState]) -> None:
        now = self._clock()
        silent = {one.bridge: one for one in uplinks if not one.up}
        self._since = {bridge: self._since.get(bridge, now) for bridge in silent}
        self._causes = {bridge: _cause(one) for bridge, one in silent.items()}

    def lost(self) -> Mapping[str, str]:
        """Why, by bridge."""
        now = self._clock()
        return {
            bridge: self._causes[bridge]
            for bridge, since in self._since.items()
            if now - since >= LOST_S
        }

    def wait_s(self) -> float | None:
        """Until the next is lost, if nothing changes; None: none is doubtful."""
        now = self._clock()
        left = [since + LOST_S - now for since in self._since.values() if now - since < LOST_S]
        return min(left, default=None)


def _cause(uplink: UplinkState) -> str:
    members = ", ".join(member.name for member in uplink.members)
    return f"{uplink.port} on {uplink.bridge} has no verified path by {members}"
