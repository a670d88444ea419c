"""Whether what other processes have committed meanwhile changes what a batch was decided on. Pure.

Several processes decide at once, on what they have read without a lock, and write in turns. Every
change of a resource is an event, so what follows in the log tells a batch, when its turn has come,
whether anything that it has read is another now. What is not there to be read (a key that nobody
holds yet) is guarded by the tables' unique keys.
"""

from collections.abc import Iterable

import msgspec

from netwright.model.resources import Subnet
from netwright.model.wire import Kind
from netwright.server.needs import Needs
from netwright.server.store.writing import EventRow
from netwright.server.world import World

_subnet = msgspec.json.Decoder(Subnet).decode
_encode = msgspec.json.Encoder().encode


class _Placed(msgspec.Struct):
    """Of a port, what places it."""

    network_id: str


_placed = msgspec.json.Decoder(_Placed).decode


def is_outdated(world: World, needs: Needs, events: Iterable[EventRow]) -> bool:
    """Whether any of the events, which the batch has not read, concerns what it has read."""
    return any(_concerns(world, needs, event) for event in events)


def _concerns(world: World, needs: Needs, event: EventRow) -> bool:
    match event.kind:
        case Kind.NETWORK:
            return _differs(world.networks.loaded(event.id), event, event.id in needs.networks)
        case Kind.SUBNET:
            return _subnet_concerns(world, event)
        case Kind.HOST:
            return _differs(world.hosts.loaded(event.id), event, event.id in needs.hosts)
        case Kind.ATTACHMENT:
            network_id, _, host = event.id.partition("@")
            is_known = world.attachments.is_known((network_id, host))
            return is_known or network_id in world.whole_networks
        case Kind.PORT:
            return _port_concerns(world, needs, event)


def _differs(loaded: msgspec.Struct | None, event: EventRow, is_wanted: bool) -> bool:  # noqa: FBT001 - said at each call
    """An event may repeat a resource for a host that is new to it."""
    return is_wanted if loaded is None else event.body != _encode(loaded)


def _subnet_concerns(world: World, event: EventRow) -> bool:
    """One that was read, or one more of a network that was."""
    loaded = world.subnets.loaded(event.id)
    if loaded is not None or event.body is None:
        return _differs(loaded, event, is_wanted=False)
    return world.networks.loaded(_subnet(event.body).network_id) is not None


def _port_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    """One that was read; or one more or less of those that were counted, or looked for by host."""
    if event.id in needs.ports or world.ports.loaded(event.id) is not None:
        return True
    hosts = (event.hosts or frozenset()) | event.left_hosts
    if not hosts and not len(world.port_counts):
        return False
    if hosts & (needs.ports_on | needs.refused_on):
        return True
    if event.body is None:
        left = {host for (_, host), before, now in world.binding_counts.changed() if before != now}
        return bool(hosts & left)
    network_id = _placed(event.body).network_id
    if world.port_counts.loaded(network_id) is not None:
        return True
    return any(_fewer(world, (network_id, host)) for host in hosts)


def _fewer(world: World, key: tuple[str, str]) -> bool:
    """Whether the batch takes bindings from an attachment, which ends with its last one."""
    before, now = world.binding_counts.loaded(key), world.binding_counts.get(key)
    return before is not None and (now or 0) < before
