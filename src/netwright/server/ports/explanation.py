"""The form of an explanation: a port's state, what it waits for, since when, what to do."""

from collections.abc import Iterable, Iterator

from netwright.model.resources import Network, Port, Value
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.states import API_STATUS, PortState


class Wait(Value, frozen=True, kw_only=True):
    """One thing that a port waits for or suffers from: what it is, and what to do about it.

    `since` in Unix seconds, None where nobody recorded when it began.
    """

    what: str
    since: float | None
    next: str


class Explanation(Value, frozen=True, kw_only=True):
    """`since` in Unix seconds; `text` is all of it as lines for people.

    `nova` is what Nova was told of the port, or has still to be told, in words.
    """

    port_id: str
    state: PortState
    status: str
    since: float
    for_s: float
    cause: str
    waits: tuple[Wait, ...]
    nova: tuple[str, ...] = ()
    text: str


def compose(
    port: Port,
    *,
    standing: str,
    cause: str,
    waits: tuple[Wait, ...],
    now: float,
    is_cause_told: bool = False,
    told: tuple[str, ...] = (),
    untold: tuple[Wait, ...] = (),
    claim: Iterable[str] = (),
) -> Explanation:
    """The explanation with these parts; its text says the cause unless a wait has told it.

    `told` and `untold` are Nova's; it is waited for as for others. `claim` says whose it is.
    """
    waits = (*waits, *untold)
    lines = [standing]
    if cause and not is_cause_told:
        lines.append(f"Cause: {cause}.")
    lines += claim
    lines += _groups(port)
    for wait in waits:
        lines.append(wait.what + _lasting(wait.since, now) + ".")
        if wait.next:
            lines.append(f"  To do: {wait.next}.")
    if not waits:
        lines.append("It waits for nothing.")
    lines += [f"{each}." for each in told]
    return Explanation(
        port_id=port.id,
        state=port.state,
        status=API_STATUS.get(port.state, "gone"),
        since=port.state_since,
        for_s=max(0.0, now - port.state_since),
        cause=cause,
        waits=waits,
        nova=(*told, *(wait.what for wait in untold)),
        text="\n".join(lines),
    )


def _groups(port: Port) -> Iterator[str]:
    """Who decides what passes; nothing, for a port that is not filtered."""
    if not port.port_security_enabled or port.security_groups is None:
        return
    if port.security_groups:
        yield f"Its security groups: {', '.join(port.security_groups)}."
    else:
        yield "It is in no security group: nothing passes but its own DHCP and neighbour discovery."


def administrative(port: Port, network: Network) -> Iterator[Wait]:
    """What somebody has switched off."""
    if not port.admin_state_up:
        yield Wait(
            what="The port is administratively down: admin_state_up is false",
            since=None,
            next="set its admin_state_up to true",
        )
    if not network.admin_state_up:
        yield Wait(
            what=f"Its network {network.name or network.id} is administratively down",
            since=None,
            next="set the network's admin_state_up to true",
        )


def misled(floating: Iterable[FloatingIp]) -> Iterator[Wait]:
    """Floating IPs that are the port's and do not reach it."""
    for each in floating:
        if each.status is not FloatingStatus.ACTIVE:
            address = each.floating_ip_address
            yield Wait(
                what=f"Its floating IP {address} does not lead to it: {each.cause}",
                since=each.updated_at,
                next="netwright fabric status says how the borders stand",
            )


def length(seconds: float) -> str:
    """A length of time in the two units that matter."""
    whole = max(0, int(seconds))
    for unit, name, lesser, lesser_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // lesser} {lesser_name}"
    return f"{whole} s"


def _lasting(since: float | None, now: float) -> str:
    return "" if since is None else f", for {length(now - since)}"
