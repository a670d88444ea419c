"""From changes to operations, against what is observed. Pure.

A change says what an element shall be; what it was is looked up on the switch, so that a change
carried out halfway is carried out to its end, and one that is done already does nothing. Changes
are planned in their order, each on what those before it will have made (`Plan.observed`).
"""

from netwright.fabric.changes import Change
from netwright.fabric.config import Interface, Route, Segment, VlanGateway, Vrf
from netwright.fabric.drivers.frr import (
    plan_gateways,
    plan_interfaces,
    plan_segments,
    plan_vrfs,
)
from netwright.fabric.drivers.frr.operations import ChangeRoute, Operation
from netwright.fabric.drivers.frr.planned import Plan, PlanError
from netwright.linux.links import KernelRoute

__all__ = ["Plan", "operations", "sweep"]


def operations(state: Plan, change: Change) -> tuple[Operation, ...]:
    """Of one change, which the plan's state takes as done. Raises PlanError at what bars it."""
    state.operations = []
    _plan(state, change)
    return tuple(state.operations)


def sweep(state: Plan) -> tuple[Operation, ...]:
    """What no element names any more, after a change that broke off and was planned away."""
    state.operations = []
    plan_gateways.sweep(state)
    plan_interfaces.sweep(state)
    plan_vrfs.sweep(state)
    return tuple(state.operations)


def _plan(state: Plan, change: Change) -> None:  # noqa: C901 (one line a kind of element)
    match change.after, change.before:
        case Vrf() as vrf, _:
            plan_vrfs.ensure(state, vrf)
        case None, Vrf() as vrf:
            plan_vrfs.remove(state, vrf)
        case Segment() as segment, _:
            plan_segments.ensure(state, segment)
        case None, Segment() as segment:
            plan_segments.remove(state, segment)
        case Interface() as interface, _:
            plan_interfaces.ensure(state, interface)
        case None, Interface() as interface:
            plan_interfaces.remove(state, interface)
        case VlanGateway() as gateway, before:
            if isinstance(before, VlanGateway) and before.key != gateway.key:
                plan_gateways.remove(state, before)
            plan_gateways.ensure(state, gateway)
        case None, VlanGateway() as gateway:
            plan_gateways.remove(state, gateway)
        case Route() as route, before:
            if isinstance(before, Route) and before != route:
                _route(state, before, add=False)
            _route(state, route, add=True)
        case None, Route() as route:
            _route(state, route, add=False)


def _route(state: Plan, route: Route, *, add: bool) -> None:
    space = route.vrf or ""
    if space not in state.observed.spaces:
        if add:
            raise PlanError(f"VRF {space} of the route to {route.destination} is not on it")
        return
    known = KernelRoute(route.destination, route.nexthop)
    if (known in state.observed.spaces[space].routes) != add:
        state.add(ChangeRoute(space, route.destination, route.nexthop, add))
