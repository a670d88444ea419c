"""What becomes of a port in Neutron when Netwright says how it stands. Pure; the table is whole.

    HELD    Neutron waits for Netwright: the provisioning block stands, the port is DOWN
    ACTIVE  no block; the port is ACTIVE
    DOWN    it was ACTIVE, and is DOWN; no block

A pair that the table does not hold is refused: `step` says None, and the caller logs it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Stand(StrEnum):
    HELD = "HELD"
    ACTIVE = "ACTIVE"
    DOWN = "DOWN"


class Seen(StrEnum):
    """A port's state as Netwright tells it."""

    ALLOCATED = "ALLOCATED"
    WIRING = "WIRING"
    MOVING = "MOVING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    RELEASING = "RELEASING"


class Effect(StrEnum):
    """What Neutron is told."""

    NOTHING = "nothing"
    RELEASE = "release"
    """The provisioning block goes: ACTIVE, unless another one stands."""
    LOWER = "lower"
    """The port goes DOWN."""


class Step(NamedTuple):
    to: Stand
    effect: Effect


def _table() -> dict[tuple[Stand, Seen], Step]:
    pending = (Seen.ALLOCATED, Seen.WIRING, Seen.MOVING, Seen.DEGRADED, Seen.ERROR)
    table = {}
    for stand in (Stand.HELD, Stand.DOWN):
        table[stand, Seen.ACTIVE] = Step(Stand.ACTIVE, Effect.RELEASE)
        table |= {(stand, seen): Step(stand, Effect.NOTHING) for seen in pending}
    table[Stand.ACTIVE, Seen.ACTIVE] = Step(Stand.ACTIVE, Effect.NOTHING)
    table |= {(Stand.ACTIVE, seen): Step(Stand.DOWN, Effect.LOWER) for seen in pending}
    return table


STEPS: Mapping[tuple[Stand, Seen], Step] = _table()


SEEN_OF_STATUS: Mapping[str, Seen] = {
    "ACTIVE": Seen.ACTIVE,
    "BUILD": Seen.WIRING,
    "DOWN": Seen.DEGRADED,
    "ERROR": Seen.ERROR,
}
"""What a port's status in the Networking API says of its state, where a cause is not shown."""


def stand_of(status: str, *, is_held: bool) -> Stand:
    """How the port stands, by Neutron's own rows."""
    if is_held:
        return Stand.HELD
    return Stand.ACTIVE if status == "ACTIVE" else Stand.DOWN


def step(stand: Stand, seen: Seen) -> Step | None:
    return STEPS.get((stand, seen))
