"""Meters: how much of an endpoint's traffic passes a bridge (OpenFlow 1.4.1 §5.7). Pure.

Two numbers are an OpenFlow port's: one for what comes from its endpoint, one for what goes there.
So they are the same after a restart. A meter bears no mark of ours: it is ours when a flow of ours
leads through it, and it goes together with the last such flow.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.flows import Flow, Metered
from netwright.agent.ovs.wiring import Endpoint, Rate

Meters: TypeAlias = Mapping[int, Rate | None]
"""By number; None: one that is none of ours by its form."""


class MeterChange(msgspec.Struct, frozen=True):
    """Make or change a meter; `rate` None: take it away. `owner` is the port id whose it is."""

    number: int
    rate: Rate | None
    is_new: bool = False
    owner: str | None = None

    def __str__(self) -> str:
        if self.rate is None:
            return f"- meter {self.number}"
        return f"+ meter {self.number} {self.rate.kbps} kbit/s, {self.rate.burst_kbits} kbit"


def from_endpoint(ofport: int) -> int:
    """The number of the meter of what an endpoint sends."""
    return ofport * 2


def to_endpoint(ofport: int) -> int:
    return ofport * 2 + 1


def meters_of(endpoint: Endpoint, ofport: int) -> Iterator[tuple[int, Rate]]:
    """The meters that the endpoint's flows lead through."""
    if endpoint.qos is None or not endpoint.admin_up:
        return
    if endpoint.qos.egress is not None:
        yield from_endpoint(ofport), endpoint.qos.egress
    if endpoint.qos.ingress is not None:
        yield to_endpoint(ofport), endpoint.qos.ingress


def changes(
    wanted: Mapping[int, tuple[Rate, str]], have: Meters, flows: Mapping[int, frozenset[Flow]]
) -> tuple[MeterChange, ...]:
    """What makes the meters those that are wanted (rate, port id). `flows` are the bridge's."""
    puts = [
        MeterChange(number, rate, is_new=number not in have, owner=owner)
        for number, (rate, owner) in sorted(wanted.items())
        if have.get(number) != rate
    ]
    ours = used(flow for group in flows.values() for flow in group if flow.ours)
    others = used(flow for group in flows.values() for flow in group if not flow.ours)
    gone = (ours & have.keys()) - wanted.keys() - others
    return (*puts, *(MeterChange(number, None) for number in sorted(gone)))


def used(flows: Iterable[Flow]) -> set[int]:
    return {
        action.number for flow in flows for action in flow.actions if isinstance(action, Metered)
    }
