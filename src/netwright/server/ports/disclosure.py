"""What a project may know of its own ports beyond the resource: nothing of where they run.

Hosts are the operators' to know (binding:host_id is for admins), and a cause is in an agent's or an
operator's words, which name hosts, bridges and reasons. So nothing is cut out of what operators
see: what projects get is written for them here.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from netwright.model.resources import Host, HostState, Network, Port, Transition
from netwright.model.routing import FloatingIp
from netwright.model.states import MEANING, PortState
from netwright.server.containers.words import claim_lines, container_wait
from netwright.server.ports.explain import address_alone, is_address_alone, rests_on_reports
from netwright.server.ports.explanation import (
    Explanation,
    Wait,
    administrative,
    compose,
    length,
    misled,
)
from netwright.server.ports.lifecycle import names_of

_AGENT = "agent"
_STANDING_OF_ERROR = "it could not be wired; it is tried again by itself"
_WAITS = {
    PortState.ALLOCATED: "It belongs to no running instance",
    PortState.WIRING: "Its wiring is pending",
    PortState.MOVING: "Its wiring is pending, and the host that it left has not let go of it",
    PortState.DEGRADED: "Its wiring is down",
    PortState.ERROR: "The cause is the operators' to know",
    PortState.RELEASING: "The host that it left has not let go of it",
}


def explain_to_project(
    port: Port,
    network: Network,
    hosts: Mapping[str, Host],
    now: float,
    *,
    floating: Sequence[FloatingIp] = (),
) -> Explanation:
    """`explain.explain` for the port's own project: no host, no cause in anybody's words."""
    waits = tuple(administrative(port, network))
    waits_for_others = port.state in _WAITS and not is_address_alone(port)
    kept = container_wait(port)
    if kept is not None:
        waits += (kept,)
    elif waits_for_others and not (waits and port.state is PortState.DEGRADED):
        what = _WAITS[port.state]
        waits += (Wait(what=what, since=port.state_since, next=_next(port)),)
    if port.state is not PortState.RELEASING:
        waits += tuple(
            Wait(
                what="Its host has not confirmed that it no longer answers for "
                f"{names_of(binding.remnant)}, which the port has no more and holds until then",
                since=binding.remnant.since,
                next=_ask(port),
            )
            for binding in port.bindings
            if binding.remnant
        )
    return compose(
        port,
        standing=_standing(port, network, hosts, now),
        cause="",
        waits=(*waits, *misled(floating)),
        claim=claim_lines(port, network, now, names_host=False),
        now=now,
    )


def history_for_project(history: Sequence[Transition]) -> tuple[Transition, ...]:
    """The transitions without hosts and causes; an agent is any agent."""
    return tuple(
        replace(
            one,
            host=None,
            cause="",
            actor=_AGENT if one.actor.startswith(f"{_AGENT} ") else one.actor,
        )
        for one in history
    )


def _standing(port: Port, network: Network, hosts: Mapping[str, Host], now: float) -> str:
    if is_address_alone(port):
        return address_alone(port)
    name, binding = port.name or port.id, port.active_binding
    meaning = _STANDING_OF_ERROR if port.state is PortState.ERROR else MEANING[port.state]
    words = f"port {name} is {port.state} ({meaning}) for {length(now - port.state_since)}"
    host = None if binding is None else hosts.get(binding.host)
    silent = host is not None and host.state is HostState.UNKNOWN
    if silent and rests_on_reports(port, network):
        return f"As last reported, {words}; its host is silent, so how it stands now is not known."
    return f"{words[0].upper()}{words[1:]}."


def _next(port: Port) -> str:
    if port.state is PortState.ALLOCATED:
        return "start an instance with it, or attach it to one"
    return _ask(port)


def _ask(port: Port) -> str:
    return f"if it stays so, ask an administrator: netwright port explain {port.id} tells them why"
