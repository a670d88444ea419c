"""Waiting for the daemons of a switch, which tell nobody when they have done what they heard."""

import time
from collections.abc import Callable

from netwright.fabric.config import Segment, Vrf
from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session

IN_FORCE_TIMEOUT_S = 4.0
"""zebra looks a second after a namespace was made, and tells bgpd; all else takes milliseconds."""
_POLL_S = 0.004


def settle(session: Session, segments: dict[int, Segment | None], vrfs: dict[str, Vrf]) -> None:
    """Until what was applied is in force in the daemons. None: a VNI that shall be gone."""

    def segments_in_force() -> bool:
        vnis = shows.vnis_in_force(session.vty("bgpd").ask(shows.SHOW_VNIS))
        return all(
            (now := vnis.get(vni)) is None
            if wanted is None
            else (now := vnis.get(vni)) is not None
            and (now.rd, now.targets) == (wanted.rd, wanted.route_targets)
            for vni, wanted in segments.items()
        )

    def l3vnis_in_force() -> bool:
        shown = shows.l3vnis(session.vty("zebra").ask(shows.SHOW_VRF_VNIS))
        return all(shown.get(name) == (vrf.l3vni or None) for name, vrf in vrfs.items())

    if segments:
        names = ", ".join(map(str, sorted(segments)))
        wait_until(f"bgpd has VNI {names} as applied", segments_in_force)
    if vrfs:
        wait_until(f"zebra has the transit VNI of {', '.join(sorted(vrfs))}", l3vnis_in_force)


def wait_until(what: str, condition: Callable[[], bool], said: list[str] | None = None) -> None:
    """Asks again and again: nobody tells. Raises TimeoutError saying what did not come."""
    give_up = time.monotonic() + IN_FORCE_TIMEOUT_S
    while not condition():
        if time.monotonic() > give_up:
            msg = f"not within {IN_FORCE_TIMEOUT_S:.0f} s: {what}"
            raise TimeoutError(f"{msg}: {said[-1]}" if said else msg)
        time.sleep(_POLL_S)
