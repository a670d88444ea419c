"""What an explanation says of a container's port: whose it is or was, and how long it is kept."""

from collections.abc import Iterator
from datetime import UTC, datetime

from netwright.model.containers import Claim
from netwright.model.resources import RACK, ZONE, Network, Port
from netwright.model.states import PortState
from netwright.server.containers.holders import kept_how, of_whom, who
from netwright.server.ports.explanation import Wait, length


def claim_lines(port: Port, network: Network, now: float, *, names_host: bool) -> Iterator[str]:
    """Its claim as sentences; none for a port without one. Where it was is the operators' to know.

    Likewise which leaves it may be below.
    """
    claim = port.claim
    if claim is None or port.state is PortState.RELEASING:
        return
    if claim.ended_at is None:
        kept = f"; when that ends, its address is kept {kept_how(claim)}" if claim.keep else ""
        yield f"It is of {of_whom(claim)}{kept}."
    else:
        last = who(claim, claim.container_id, claim.host) if names_host else of_whom(claim)
        ended = f"which ended {length(now - claim.ended_at)} ago"
        yield f"It was of {last}, {ended}; its address is kept {_how_long(claim, now)}."
    if claim.keep and network.drift_domain is not None and names_host:
        yield f"It may move within {_domain(network)}."


def container_wait(port: Port) -> Wait | None:
    """What a kept port waits for."""
    claim = port.claim
    if claim is None or claim.ended_at is None or port.state is not PortState.ALLOCATED:
        return None
    return Wait(
        what=f"It waits for the next container by its name '{port.unique_name}'",
        since=claim.ended_at,
        next="start one that claims the name, or delete the port to have its address back",
    )


def _how_long(claim: Claim, now: float) -> str:
    if claim.kept_until is None:
        return kept_how(claim)
    until = datetime.fromtimestamp(claim.kept_until, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"until {until}, {length(claim.kept_until - now)} more, if nobody claims it"


def _domain(network: Network) -> str:
    domain = network.drift_domain
    if domain in {ZONE, RACK}:
        return f"its {domain}, as its network's drift_domain says"
    return f"hosts below {', '.join(domain or ())}, as its network's drift_domain says"
