"""When a released address rests, who may have it meanwhile, and what is said when none is left.

    held ──▶ free              never bound: nothing on the wire knows the address
    held ──▶ resting           was bound, and its last withdrawal is confirmed or fenced (law 2)
    resting ──▶ held           its project names it, or anyone once it has rested
    resting ──▶ free           it has rested

A resting address keeps its row in the table, without a port, so the unique key keeps it from
everyone (law 1). Whether it *has rested* is decided by comparing times, not by a sweep: every load
of a subnet's occupancy first deletes the rows that have rested, so a late sweep exhausts nothing.
"""

from collections.abc import Iterable
from enum import StrEnum

from netwright.ipam.addresses import Address, to_text
from netwright.model.errors import IpAddressAlreadyAllocated, IpAddressGenerationFailure
from netwright.model.resources import Value

REST_S = 60.0


class Allocation(Value, frozen=True, kw_only=True):
    """An address's row: held by a port, or resting (no port) until `rests_until` (Unix seconds)."""

    subnet_id: str
    address: Address
    project_id: str
    port_id: str | None = None
    rests_until: float | None = None

    @property
    def is_resting(self) -> bool:
        return self.port_id is None


class FormerMac(Value, frozen=True, kw_only=True):
    """A MAC that a port had: kept from others while a host may answer for it, then resting.

    A MAC changes under an address that lives on, and neighbours remember the pair: hence the rest.
    That of a deleted port does not rest, since its addresses do.
    """

    network_id: str
    mac_address: str
    project_id: str
    port_id: str | None = None
    rests_until: float | None = None


class Claim(StrEnum):
    """How an address that was asked for by name is written."""

    INSERT = "insert"
    # Compare and swap on what was read: port_id IS NULL and rests_until as seen.
    RECLAIM = "reclaim"


class Fullness(Value, frozen=True, kw_only=True):
    """A subnet's pools when no address is free; `next_return_at` in Unix seconds."""

    capacity: int
    resting: int = 0
    next_return_at: float | None = None

    @property
    def held(self) -> int:
        return self.capacity - self.resting


class Exhausted(IpAddressGenerationFailure):
    """No address of a subnet's pools is free; `fullness` says how many rest."""

    type = IpAddressGenerationFailure.type

    def __init__(self, subnet_id: str, fullness: Fullness, now: float) -> None:
        super().__init__(
            f"No more IP addresses in subnet {subnet_id}: {describe(fullness, now)}.",
            next="try again when one returns, delete ports, or widen the allocation pools"
            if fullness.resting
            else "delete ports or widen the allocation pools",
        )
        self.subnet_id = subnet_id
        self.fullness = fullness


class AddressTaken(IpAddressAlreadyAllocated):
    """An address that was asked for by name has a holder, or rests after one.

    `port_id` is its holder, None when it rests (until `rests_until`) or the holder is not known.
    """

    type = IpAddressAlreadyAllocated.type

    def __init__(
        self,
        subnet_id: str,
        address: Address,
        *,
        port_id: str | None = None,
        rests_until: float | None = None,
        now: float | None = None,
        names_holder: bool = False,
    ) -> None:
        state, advice = "is in use", "ask for another address, or for any"
        if port_id is not None and names_holder:
            state = f"is in use by port {port_id}"
        if rests_until is not None and now is not None:
            state = f"rests for another {rests_until - now:.0f} s after its last port"
            advice = "wait, or ask for another address; its last project may have it back at once"
        super().__init__(
            f"IP address {to_text(address)} of subnet {subnet_id} {state}.", next=advice
        )
        self.subnet_id = subnet_id
        self.address = address
        self.port_id = port_id
        self.rests_until = rests_until


def rest_end(*, was_bound: bool, withdrawn_at: float, rest_s: float = REST_S) -> float | None:
    """Until when a released address rests; None: it is free at once, delete its row.

    `withdrawn_at`: when the last host confirmed that it no longer answers for the address, or was
    fenced. Before that the address is held, whatever became of its port.
    """
    return withdrawn_at + rest_s if was_bound else None


def has_rested(allocation: Allocation, now: float) -> bool:
    return allocation.rests_until is not None and allocation.rests_until <= now


def claim(
    row: Allocation | None,
    subnet_id: str,
    address: Address,
    project_id: str,
    now: float,
    *,
    names_holder: bool = False,
) -> Claim:
    """How a project may have an address by name, given the address's row if it has one.

    Raises AddressTaken when it is held, or rests for another project. `names_holder`: who asks may
    be told of the port that holds it.
    """
    if row is None:
        return Claim.INSERT
    if row.is_resting and (row.project_id == project_id or has_rested(row, now)):
        return Claim.RECLAIM
    raise AddressTaken(
        subnet_id,
        address,
        port_id=row.port_id,
        rests_until=row.rests_until,
        now=now,
        names_holder=names_holder,
    )


def fullness(capacity: int, rests: Iterable[float]) -> Fullness:
    """Sum up an exhausted subnet; `rests` are the `rests_until` of its pools' resting rows."""
    ends = sorted(rests)
    return Fullness(capacity=capacity, resting=len(ends), next_return_at=ends[0] if ends else None)


def blocks_subnet_delete(allocations: Iterable[Allocation]) -> bool:
    """Whether a subnet is in use: held addresses are in the way, resting ones go with it."""
    return any(not allocation.is_resting for allocation in allocations)


def describe(fullness: Fullness, now: float) -> str:
    held = (
        f"all {fullness.capacity} are in use"
        if not fullness.resting
        else (f"of {fullness.capacity}, {fullness.held} are in use and {fullness.resting} rest")
    )
    if fullness.next_return_at is None:
        return held
    return f"{held}; the next returns in {max(0.0, fullness.next_return_at - now):.0f} s"
