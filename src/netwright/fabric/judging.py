"""Which attachments are up, kept current: judged anew when something that they depend on moved.

a switch's view, the plan, the observer ──▶ dirty ──▶ verdicts ──▶ statements, steps
                                               pending ──ask the control planes, 0.03 … 1 s──┘
"""

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from netwright.fabric import verify
from netwright.fabric.placements import Placements
from netwright.fabric.verify import Fabric, Placement, Verdict
from netwright.model.fabric import AttachmentReport
from netwright.model.resources import Attachment, Value
from netwright.model.states import AttachmentState
from netwright.model.wire import ReportStatus

ASK_FIRST_S = 0.03
ASK_GROWTH = 1.25
ASK_S_MAX = 1.0
"""Leaves take some 110 ms to import a route: what came just after a question waits a quarter."""

AT_ONCE_MAX = 1_000
"""Attachments judged before others get their turn in the event loop: 0.1 s."""

TIMER_S = 0.001
"""Timers may be so early: what is nearly due is due, or it would be looked at over and over."""

PENDING_S = 2.0
"""What is not up after so long is said to be down, with what is missing."""


class Pending(Value, frozen=True, kw_only=True):
    """An attachment that waits. Times by the clock.

    `asks`: how often control planes were asked about it since there is something to ask.
    """

    since: float
    asks: int = 0
    ask_at: float = 0.0


class Judge:
    """One tenure's. `note` keeps a step of an attachment's history: subject, event, detail."""

    def __init__(self, placements: Placements, *, note: Callable[[str, str, str], None]) -> None:
        self.statements: dict[str, AttachmentReport] = {}
        self._placements = placements
        self._note = note
        self._pending: dict[str, Pending] = {}
        self._dirty: set[str] = set()
        self._standing: dict[str, int] = {}
        """The generation in which the tuple was found standing, by attachment."""

    def touch(self, subjects: Collection[str]) -> None:
        self._dirty |= set(subjects)

    def touch_switch(self, switch: str) -> None:
        self._dirty |= self._placements.on.get(switch, set())

    def touch_all(self) -> None:
        self._dirty |= self._placements.live.keys() | self._placements.withdrawing.keys()

    def judge(
        self, fabric: Fabric, held: Mapping[str, Attachment], now: float
    ) -> Mapping[str, frozenset[int]]:
        """Bring `statements` up to date, as many as go at once; whom to ask about which VNIs."""
        dirty = [self._dirty.pop() for _ in range(min(len(self._dirty), AT_ONCE_MAX))]
        subjects = {*dirty, *self._pending}
        asks: dict[str, frozenset[int]] = {}
        for subject in subjects:
            placement = self._placements.get(subject)
            if placement is None:
                self._forget(subject)
                continue
            verdict = self._verdict(subject, placement, fabric, held)
            for switch, vni in self._wait(subject, verdict, now):
                asks[switch] = asks.get(switch, frozenset()) | {vni}
            self._state(subject, placement, verdict, now)
        return asks

    def next_at(self) -> float | None:
        """When to judge again though nothing moved; 0: now, for there is more."""
        if self._dirty:
            return 0.0
        return min((one.ask_at for one in self._pending.values()), default=None)

    def _verdict(
        self,
        subject: str,
        placement: Placement,
        fabric: Fabric,
        held: Mapping[str, Attachment],
    ) -> Verdict:
        if subject in self._placements.withdrawing:
            return verify.withdrawn(placement, fabric)
        return verify.verdict(placement, fabric, was_up=self._was_up(subject, placement, held))

    def _was_up(self, subject: str, placement: Placement, held: Mapping[str, Attachment]) -> bool:
        """By our own last word; by the server's, when this tenure has said nothing yet."""
        said = self.statements.get(subject)
        if said is not None and said.generation == placement.generation:
            return said.status is ReportStatus.UP
        attachment = held.get(subject)
        return attachment is not None and attachment.state is AttachmentState.UP

    def _wait(self, subject: str, verdict: Verdict, now: float) -> Collection[tuple[str, int]]:
        """Keep in mind that it waits; what to ask now."""
        if verdict.status is not None and not verdict.ask:
            self._pending.pop(subject, None)
            return ()
        pending = self._pending.get(subject, Pending(since=now))
        if not verdict.ask:  # for a switch to be brought, whose view has it judged anew
            self._pending[subject] = replace(pending, asks=0, ask_at=now + ASK_S_MAX)
            return ()
        if pending.asks and now < pending.ask_at - TIMER_S:
            return ()
        delay_s = min(ASK_FIRST_S * ASK_GROWTH ** min(pending.asks, 20), ASK_S_MAX)
        self._pending[subject] = replace(pending, asks=pending.asks + 1, ask_at=now + delay_s)
        return verdict.ask

    def _state(self, subject: str, placement: Placement, verdict: Verdict, now: float) -> None:
        if verdict.stands and self._standing.get(subject) != placement.generation:
            self._standing[subject] = placement.generation
            self._note(subject, "applied", "read back on " + described(placement))
        status, cause = verdict.status, verdict.cause
        if status is None:
            pending = self._pending.get(subject)
            if pending is None or now - pending.since < PENDING_S:
                return
            status, cause = ReportStatus.DOWN, f"Not yet: {cause}"
        before = self.statements.get(subject)
        statement = AttachmentReport(
            network_id=placement.network_id,
            host=placement.host,
            generation=placement.generation,
            status=status,
            cause=cause,
        )
        if statement == before:
            return
        self.statements[subject] = statement
        if before is None or (before.status, before.generation) != (status, placement.generation):
            self._note(subject, _EVENT[status], cause)

    def _forget(self, subject: str) -> None:
        self.statements.pop(subject, None)
        self._pending.pop(subject, None)
        self._standing.pop(subject, None)


_EVENT = {
    ReportStatus.UP: "verified",
    ReportStatus.DOWN: "down",
    ReportStatus.REFUSED: "refused",
    ReportStatus.WITHDRAWN: "withdrawn",
}


def described(placement: Placement) -> str:
    """Its places, for people."""
    if not placement.places:
        return placement.refusal or "no leaf"
    places = ", ".join(
        f"{one.switch}/{one.interface} "
        + (f"VLAN {one.vlan}" if one.vlan is not None else "untagged")
        for one in placement.places
    )
    return f"{places}, VNI {placement.vni}"
