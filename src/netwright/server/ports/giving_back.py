"""Giving addresses and MACs back: at once when no host ever knew them, else after a rest (law 2).

    the port's own ──goes from it──▶ remnant of a binding ──its host shows it gone──▶ rest
                   └─ no host may answer for it ─────────────────────────────────────▶ rest

A port holds its own addresses and those that are remnants of its bindings. What it held before a
change and does not hold after it goes to rest, whatever the change was.
"""

from netwright.ipam.addresses import from_text
from netwright.ipam.resting import Allocation, FormerMac, rest_end
from netwright.model.resources import FixedIp, Port
from netwright.server.world import World


def give_back(world: World, before: Port | None, after: Port) -> None:
    """Let go of what `after` holds no more. MACs that became remnants are kept from others."""
    if before is None or (_holds_alike(before, after)):
        return
    for fixed_ip in held_addresses(before) - held_addresses(after):
        release_address(world, after, fixed_ip)
    for mac in _remnant_macs(after) - _remnant_macs(before):
        world.former_macs.put((after.network_id, mac), _former(after, mac, port_id=after.id))
    for mac in _held_macs(before) - _held_macs(after):
        until = _rests_until(world, after)
        former = None if until is None else _former(after, mac, rests_until=until)
        world.former_macs.put((after.network_id, mac), former)


def release_address(world: World, port: Port, fixed_ip: FixedIp) -> None:
    """The port's address rests, or is free when no host ever knew it."""
    key = (fixed_ip.subnet_id, from_text(fixed_ip.ip_address))
    until = _rests_until(world, port)
    if until is None:
        world.allocations.put(key, None)
        world.ledger.release(*key)
    else:
        world.allocations.put(
            key,
            Allocation(
                subnet_id=key[0],
                address=key[1],
                project_id=port.project_id,
                rests_until=until,
            ),
        )
    uses = world.subnet_uses.get(fixed_ip.subnet_id) or 0
    world.subnet_uses.put(fixed_ip.subnet_id, max(uses - 1, 0))


def release_mac(world: World, port: Port) -> None:
    """A deleted port's MAC is free, for its addresses rest; but one that rested, rests on."""
    key = (port.network_id, port.mac_address)
    world.macs.put(key, None)
    if port.reclaimed:
        until = _rests_until(world, port)
        world.former_macs.put(key, _former(port, port.mac_address, rests_until=until))


def held_addresses(port: Port) -> frozenset[FixedIp]:
    """The port's own addresses, and those that a host may still answer for."""
    return frozenset(port.fixed_ips).union(
        *(binding.remnant.addresses for binding in port.bindings if binding.remnant)
    )


def _holds_alike(before: Port, after: Port) -> bool:
    """The common case, found at once: no address has changed, and no remnant was or is there."""
    return (
        before.fixed_ips == after.fixed_ips
        and before.mac_address == after.mac_address
        and not any(b.remnant for port in (before, after) for b in port.bindings)
    )


def _held_macs(port: Port) -> frozenset[str]:
    return _remnant_macs(port) | {port.mac_address}


def _remnant_macs(port: Port) -> frozenset[str]:
    return frozenset[str]().union(
        *(binding.remnant.macs for binding in port.bindings if binding.remnant)
    )


def _rests_until(world: World, port: Port) -> float | None:
    was_known = port.ever_bound or port.was_offered or port.reclaimed
    return rest_end(was_bound=was_known, withdrawn_at=world.now)


def _former(
    port: Port, mac: str, *, port_id: str | None = None, rests_until: float | None = None
) -> FormerMac:
    return FormerMac(
        network_id=port.network_id,
        mac_address=mac,
        project_id=port.project_id,
        port_id=port_id,
        rests_until=rests_until,
    )
