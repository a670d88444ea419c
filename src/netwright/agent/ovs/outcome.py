"""What a converge came to, and whose fault what was. Pure."""

import itertools
from collections.abc import Callable, Mapping

import msgspec

from netwright.agent.ovs.changes import EndpointState, Plan, Problem
from netwright.agent.ovs.wiring import Desired


class Outcome(msgspec.Struct, frozen=True):
    """How all endpoints stand after a converge, in the order of `Desired.endpoints`.

    `complete` False: OVS is not all there, refused base wiring, or did not settle. `unreachable`
    says why OVS could not be asked at all; `wait_changed` returns when it is worth another try.
    """

    endpoints: tuple[EndpointState, ...]
    problems: tuple[Problem, ...]
    complete: bool
    unreachable: str | None = None


class Blame:
    """Whose fault was what, within one converge: ports barred from it, failures of the rest."""

    def __init__(self) -> None:
        self.barred: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        self.owners: Callable[[], Mapping[int, str]] = dict
        """Whose flows bear which cookie; asked for when one is refused."""

    def port(self, port_id: str | None, cause: str) -> None:
        if port_id is None:
            self.failures["base wiring"] = cause
        else:
            self.barred[port_id] = cause

    def flow(self, cookie: int, cause: str) -> None:
        self.port(self.owners().get(cookie), cause)


def unreachable(desired: Desired, cause: str) -> Outcome:
    waiting = tuple(EndpointState(e.port_id, "wiring", cause) for e in desired.endpoints)
    problem = Problem("Open vSwitch", cause)
    return Outcome(waiting, (problem,), complete=False, unreachable=cause)


def outcome(plan: Plan, blame: Blame, *, complete: bool) -> Outcome:
    """Take the plan's word, and add what stood in the way to those that still wait."""
    cause = "; ".join(blame.failures.values())
    endpoints = tuple(
        EndpointState(state.port_id, "wiring", f"{state.cause}: {cause}")
        if cause and state.status in {"wiring", "opening"}
        else state
        for state in plan.endpoints
    )
    problems = itertools.starmap(Problem, blame.failures.items())
    return Outcome(endpoints, (*plan.problems, *problems), complete)
