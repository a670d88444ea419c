"""An auditor of containers: judges what `audited` has read.

It knows what a runtime knows: which containers it was answered for and has not ended, and which it
left running on a host that it does not hear. It imports nothing of the product, and does not ask
it. An address that rests is held.

    leaked      something is there of a container that is not: a port, a device, a veth, a flow, a
                record, an address that is held for a port that is gone; on leaves, of a network
                that no container of a host is in, or a fence
    duplicated  one address in two places, or somewhere else than where the database has it; a MAC
                behind two hosts
    freed       a container lives, and something of it is not there, or not its own any more
    unread      a leaf did not answer: who sees nothing must not find it well

While verbs and restarts are at work only what is given twice or freed can be told, and of that not
the flows, nor the leaves.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.lab import leaves as leaves_of
from tests.lab.audited import GIVEN_BY_KERNEL, Container, Link, Port, Seen
from tests.lab.leaves import Wish

LEAKED, DUPLICATED, FREED, UNREAD = "leaked", "duplicated", "freed", "unread"


class Fault(NamedTuple):
    kind: str
    what: str


def faults(
    seen: Seen,
    live: Iterable[Container],
    *,
    settled: bool = True,
    left_behind: Collection[str] = (),
) -> list[Fault]:
    """`settled`: nothing is at work, and what was due has had its time.

    `left_behind` are namespaces on hosts that the runtime does not hear, whose containers have
    successors: these may have the same addresses, as long as nobody hears the old ones.
    """
    containers = tuple(live)
    found = [
        *_duplicated(seen, containers, left_behind),
        *_freed(seen, containers, with_flows=settled),
    ]
    if settled:
        found += [*_leaked(seen, containers), *_amiss_at_leaves(seen, containers)]
    return sorted(set(found))


def _leaked(seen: Seen, live: Sequence[Container]) -> Iterator[Fault]:
    ids = {one.id for one in live}
    yield from _leaked_in_database(seen, ids)
    for one in seen.devices:
        if one.container_id not in ids:
            yield Fault(LEAKED, f"{one.name} on {one.host}, of container {one.container_id}")
    for link in seen.links:
        if link.container_id not in ids:
            yield Fault(LEAKED, f"link {link.name} on {link.host}")
    for host, container_id in seen.records:
        if container_id not in ids:
            yield Fault(LEAKED, f"record of container {container_id} on {host}")
    for source in seen.sources:
        if (source.host, source.in_port) not in seen.numbers:
            yield Fault(LEAKED, f"flow for {source.mac} on {source.host}, of no interface")


def _leaked_in_database(seen: Seen, ids: Collection[str]) -> Iterator[Fault]:
    for port in seen.ports:
        is_kept = port.host is None and port.state != "RELEASING"  # for the next one of its name
        if not is_kept and port.container_id not in ids:
            yield Fault(LEAKED, f"port {port.id} of container {port.container_id}")
    for held in seen.allocations:
        if held.port_id is not None and held.port_id not in seen.port_ids:
            yield Fault(LEAKED, f"address {held.address} of port {held.port_id}, which is gone")


def _amiss_at_leaves(seen: Seen, live: Sequence[Container]) -> Iterator[Fault]:
    network_of = {one.container_id: one.network_id for one in seen.ports}
    wishes: dict[Container, Wish] = {}
    for one in live:
        if (vni := seen.vnis.get(network_of.get(one.id, ""))) is not None:
            wishes[one] = Wish(one.host, vni)
    for leaf, why in seen.leaves.unread:
        yield Fault(UNREAD, f"{leaf}: {why}")
    for what in leaves_of.left(seen.leaves, frozenset(wishes.values()), seen.vlans):
        yield Fault(LEAKED, what)
    for host, port_id in seen.fences:
        yield Fault(LEAKED, f"fence of port {port_id} on {host}")
    for what in leaves_of.misled(seen.leaves, seen.vlans):
        yield Fault(DUPLICATED, what)
    for one, wish in wishes.items():
        for what in leaves_of.missing(seen.leaves, wish):
            yield Fault(FREED, f"{what}, where container {one.id} is")
        for what in leaves_of.elsewhere(seen.leaves, wish, one.mac):
            yield Fault(DUPLICATED, f"{what}; container {one.id} is on {one.host}")


def _duplicated(
    seen: Seen, live: Sequence[Container], left_behind: Collection[str]
) -> Iterator[Fault]:
    inside = [
        (address, name)
        for name, each in seen.inside.items()
        if name not in left_behind
        for address in each
    ]
    for address, names in _several(inside):
        yield Fault(DUPLICATED, f"address {address} is in {names}")
    let_in = [
        (source.address, f"port {source.in_port} of {source.host}")
        for source in seen.sources
        if source.address
        and not source.address.startswith(GIVEN_BY_KERNEL)
        and not seen.leaves.silences(source.host, source.mac)
    ]
    for address, ports in _several(let_in):
        yield Fault(DUPLICATED, f"flows let in {address} from {ports}")
    for address, ids in _several((address, one.id) for one in live for address in one.addresses):
        yield Fault(DUPLICATED, f"address {address} was given to {ids}")


def _several(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What comes with more than one other, and with which."""
    found: dict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
    for one, others in found.items():
        if len(others) > 1:
            yield one, ", ".join(sorted(others))


def _freed(seen: Seen, live: Sequence[Container], *, with_flows: bool) -> Iterator[Fault]:
    held = {one.address: one.port_id for one in seen.allocations}
    by_container: dict[str, list[Port]] = defaultdict(list)
    for port in seen.ports:
        if port.state != "RELEASING":
            by_container[port.container_id].append(port)
    for one in live:
        own = [port for port in by_container[one.id] if port.mac == one.mac]
        if not own:
            yield Fault(FREED, f"the port of container {one.id}")
            continue
        (port, *_) = own
        if port.host != one.host:
            yield Fault(FREED, f"port {port.id} of container {one.id} is bound to {port.host}")
        for address in one.addresses:
            if (why := _not_held(held, address, port)) is not None:
                yield Fault(FREED, f"address {address} of container {one.id}: {why}")
        yield from _freed_on_host(seen, one, port, with_flows=with_flows)


def _not_held(held: Mapping[str, str | None], address: str, port: Port) -> str | None:
    if address not in held:
        return "nobody holds it"
    if held[address] is None:
        return "it rests"
    return None if held[address] == port.id else f"held by {held[address]}"


def _freed_on_host(seen: Seen, one: Container, port: Port, *, with_flows: bool) -> Iterator[Fault]:
    inside = seen.inside.get(one.namespace, frozenset())
    for address in one.addresses - inside:
        yield Fault(FREED, f"container {one.id} has no {address} inside")
    if one.mac not in seen.macs.get(one.namespace, frozenset()):
        yield Fault(FREED, f"container {one.id} has no interface with {one.mac}")
    devices = [
        each
        for each in seen.devices
        if (each.host, each.container_id, each.port_id) == (one.host, one.id, port.id)
    ]
    if not devices:
        yield Fault(FREED, f"container {one.id} is not plugged")
        return
    (device, *_) = devices
    if Link(one.host, device.name, one.id) not in seen.links:
        yield Fault(FREED, f"container {one.id} has no {device.name} on {one.host}")
    if not with_flows:
        return
    let_in = {
        source.address
        for source in seen.sources
        if source.host == one.host
        and source.mac == one.mac
        and seen.numbers.get((one.host, source.in_port)) == device.name
    }
    for address in one.addresses - let_in:
        yield Fault(FREED, f"no flow lets in {address} from container {one.id}")
