"""What a converge came to, and whose fault what was. Pure."""

import itertools
from collections.abc import Mapping

import msgspec

from netwright.agent.ovs.changes import EndpointState, Plan, Problem
from netwright.agent.ovs.guarding import guard_cookie
from netwright.agent.ovs.pipeline import port_cookie
from netwright.agent.ovs.subports import subport_cookie
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
        self._plan: Plan | None = None
        self._owners: Mapping[int, str] | None = None

    def carry_out(self, plan: Plan) -> None:
        """What fails from now on is of this plan; what failed of the one before is forgotten."""
        self.failures.clear()
        self._plan, self._owners = plan, None

    def port(self, port_id: str | None, cause: str) -> None:
        if port_id is None:
            self.failures["base wiring"] = cause
        else:
            self.barred[port_id] = cause

    def flow(self, cookie: int, cause: str) -> None:
        if self._owners is None:
            self._owners = _owners(self._plan) if self._plan is not None else {}
        self.port(self._owners.get(cookie), cause)


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


def _owners(plan: Plan) -> Mapping[int, str]:
    """The port of each cookie that its flows may have."""
    return {
        cookie_of(state.port_id): state.port_id
        for state in plan.endpoints
        for cookie_of in (port_cookie, guard_cookie, subport_cookie)
    }
