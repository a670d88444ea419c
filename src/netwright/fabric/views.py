"""What is wanted of a switch, and what is known of it after a pass: pure values.

A status is the first that holds:

    applying (started anew) ▷ isolated ▷ refused ▷ drifted (left so) ▷ half changed ▷ in sync
"""

from collections.abc import Mapping

from msgspec.structs import replace

from netwright.fabric import elements
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drift import LINES_MAX, Drift
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.elements import ElementKey
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Value
from netwright.model.topology import DriftPolicy


class Goal(Value, frozen=True, kw_only=True):
    """What the plan of this number wants of a switch. `held` are ports that it holds down."""

    config: SwitchConfig
    number: int
    policy: DriftPolicy
    held: frozenset[str] = frozenset()

    def holding(self, ports: frozenset[str]) -> "Goal":
        """The same while the switch is isolated, and these ports' hosts have another way."""
        if not ports:
            return self
        return replace(self, config=elements.held_down(self.config, sorted(ports)), held=ports)

    def is_like(self, other: "Goal") -> bool:
        """Whether both want the same, by whichever plans."""
        return self == replace(other, number=self.number)


class View(Value, frozen=True, kw_only=True):
    """What is known of a switch after a pass. `actual` None: it does not answer.

    `number` is the plan that the pass was for; `is_clear`: nothing stands that that plan does not
    want. `refusals` says why elements are not as planned. `bringing` is what a pass that began
    since has set out for: some of it may stand by now, and what it lacks may be gone.
    """

    name: str
    status: SwitchStatus
    cause: str = ""
    drift: tuple[str, ...] = ()
    actual: Actual | None = None
    learned: Mapping[int, Learned] = {}
    refusals: Mapping[ElementKey, str] = {}
    number: int = 0
    is_clear: bool = False
    bringing: SwitchConfig | None = None


class Outcome(Value, frozen=True, kw_only=True):
    """What came of a pass beside what the switch says.

    `drift` is what is left of it, `half` what differs from the goal though it was tried, both in
    words; `repaired` says what was put back. `is_held_down`: it started anew, and is not complete.
    """

    drift: tuple[str, ...]
    half: tuple[str, ...]
    refusals: Mapping[ElementKey, str]
    repaired: str
    is_held_down: bool


def passed(
    name: str, goal: Goal, actual: Actual, learned: Mapping[int, Learned], outcome: Outcome
) -> View:
    """The view that a pass for this goal leaves."""
    status, cause = _status(goal, actual, outcome)
    return View(
        name=name,
        status=status,
        cause=cause,
        drift=outcome.drift,
        actual=actual,
        learned=learned,
        refusals=outcome.refusals,
        number=goal.number,
        is_clear=not elements.leftovers(actual.config, goal.config),
    )


def silent(name: str, goal: Goal, actual: Actual) -> View:
    """The view of a switch whose control plane does not answer: nothing of it is proven."""
    cause = _isolated(actual, goal)
    return View(
        name=name, status=SwitchStatus.ISOLATED, cause=cause, actual=actual, number=goal.number
    )


def drifted(name: str, before: View | None, goal: Goal, actual: Actual, drift: Drift) -> View:
    """The view of a pass that has found drift, while it goes on."""
    return replace(
        before or View(name=name, status=SwitchStatus.DRIFTED),
        status=SwitchStatus.DRIFTED,
        cause="Somebody else changed it.",
        drift=drift.lines,
        actual=actual,
        number=goal.number,
        is_clear=False,
        bringing=goal.config,
    )


def _status(goal: Goal, actual: Actual, outcome: Outcome) -> tuple[SwitchStatus, str]:
    half = ""
    if outcome.half:
        half = f"It stands half changed; missing: {'; '.join(outcome.half[:LINES_MAX])}."
    if outcome.refusals:
        refused = f"{'; '.join(outcome.refusals.values())} {half or outcome.repaired}".strip()
        if not outcome.is_held_down and not actual.isolation:
            return SwitchStatus.REFUSED, refused
        half = refused
    if outcome.is_held_down:
        cause = "It started anew; its host ports are held down until it is complete."
        return SwitchStatus.APPLYING, f"{cause} {half}".strip()
    if actual.isolation or goal.held:
        return SwitchStatus.ISOLATED, f"{_isolated(actual, goal)} {half}".strip()
    if outcome.drift:
        return SwitchStatus.DRIFTED, "Somebody else changed it; it is left so."
    if half:
        return SwitchStatus.REFUSED, half
    return SwitchStatus.IN_SYNC, " ".join(one for one in (_lost(actual), outcome.repaired) if one)


def _lost(actual: Actual) -> str:
    lost = ", ".join(actual.lost_sessions)
    return f"It has no EVPN session by {lost}: others carry its traffic." if lost else ""


def _isolated(actual: Actual, goal: Goal) -> str:
    why = (
        actual.isolation
        or "Its EVPN sessions are back, and others have not confirmed all that it announces."
    )
    ports = ", ".join(sorted(goal.held))
    if not ports:
        return f"{why} Its host ports stay up: no other leaf serves all of its hosts."
    return f"{why} Held down, so that hosts use their other leaf: {ports}."
