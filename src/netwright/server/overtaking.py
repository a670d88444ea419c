"""Whether what other processes have committed meanwhile changes what a batch was decided on. Pure.

Several processes decide at once, on what they have read without a lock, and write in turns. Every
change of a resource is an event, so what follows in the log tells a batch, when its turn has come,
whether anything that it has read is another now. What is not there to be read (a key that nobody
holds yet) is guarded by the tables' unique keys.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from netwright.model.addressing import SubnetPool
from netwright.model.quotas import Quota
from netwright.model.resources import Segment, Share, Subnet, Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import SecurityGroup
from netwright.model.segments import segment_key, vni_key
from netwright.model.sharing import ObjectType
from netwright.model.wire import Kind
from netwright.server.needs import Needs
from netwright.server.plain import PLAIN_OF
from netwright.server.store.event_rows import EventRow
from netwright.server.world import World

_subnet = msgspec.json.Decoder(Subnet).decode
_encode = msgspec.json.Encoder().encode


class _Placed(msgspec.Struct):
    """Of a port, what places it."""

    network_id: str
    security_groups: tuple[str, ...] | None = None


class _Aged(msgspec.Struct):
    """Of a port, whether it is as it was made."""

    revision_number: int
    bindings: tuple[msgspec.Raw, ...] = ()


class _Remote(msgspec.Struct):
    remote_group_id: str | None = None


class _Group(msgspec.Struct):
    """Of a security group, what others' decisions rest on."""

    project_id: str
    is_default: bool = False
    rules: tuple[_Remote, ...] = ()
    shares: tuple[Share, ...] = ()


class _Pooled(msgspec.Struct):
    """Of a subnet pool, what others look for it by."""

    ip_version: int
    is_default: bool
    address_scope_id: str | None


class _Segmented(msgspec.Struct):
    """Of a network, what no other may have."""

    segment: Segment


class _Led(msgspec.Struct):
    """Of a floating IP, where it leads."""

    port_id: str | None = None
    router_id: str | None = None


class _Routed(msgspec.Struct):
    """Of a router, where it is."""

    interfaces: tuple[_Placed, ...]
    vni: int | None = None


_pooled = msgspec.json.Decoder(_Pooled).decode
_led = msgspec.json.Decoder(_Led).decode
_routed = msgspec.json.Decoder(_Routed).decode
_segment = msgspec.json.Decoder(_Segmented).decode
_aged = msgspec.json.Decoder(_Aged).decode
_placed = msgspec.json.Decoder(_Placed).decode
_group = msgspec.json.Decoder(_Group).decode


def is_outdated(world: World, needs: Needs, events: Iterable[EventRow]) -> bool:
    """Whether any of the events, which the batch has not read, concerns what it has read."""
    return any(_concerns(world, needs, event) for event in events)


def may_leave_macs(events: Iterable[EventRow]) -> bool:
    """Whether a MAC may have become a former one: not where ports were made, and are unbound."""
    return any(event.kind is Kind.PORT and not _is_new(event) for event in events)


def _is_new(event: EventRow) -> bool:
    """A port as it was made: it holds what it has, and nobody else has held that for it."""
    if event.body is None:
        return False
    port = _aged(event.body)
    return port.revision_number == 1 and not port.bindings


def _concerns(world: World, needs: Needs, event: EventRow) -> bool:
    if event.kind is None:  # what nobody here reads
        return False
    if concerns := _CONCERNS.get(event.kind):
        return concerns(world, needs, event)
    return _plain_concerns(world, needs, event, PLAIN_OF[event.kind])


def _network_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    if event.body is not None and world.fabric.held_vnis.is_touched:  # a VNI that a router takes
        segment = _segment(event.body).segment
        if world.fabric.held_vnis.is_known(segment_key(segment)):
            return True
    return _differs(world.networks.loaded(event.id), event, event.id in needs.networks)


def _host_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    return _differs(world.hosts.loaded(event.id), event, event.id in needs.hosts)


def _attachment_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    """One that was read or looked for; or one less of a network whose VLAN there was read."""
    if needs.all_attachments:
        return True
    network_id, _, host = event.id.partition("@")
    key = (network_id, host)
    if host in needs.ended_hosts:
        return True
    if world.attachments.is_known(key) or key in world.fabric.read_attachments:
        return True
    if network_id in world.whole_networks or _is_counted(world, host):
        return True
    domain = (
        world.fabric.inventory.domain_of(host)
        if world.fabric.inventory and event.body is None
        else None
    )
    return domain is not None and world.fabric.vlans.is_known((domain.name, network_id))


def _is_counted(world: World, host: str) -> bool:
    """Whether the VNIs of a leaf were counted that the host hangs on, or may, being bare metal."""
    leaves = world.fabric.networks_on.keys()
    if not leaves or world.fabric.inventory is None:
        return False
    over = world.fabric.inventory.leaves_of(host)
    return not over or not leaves.isdisjoint(over)


def _topology_concerns(world: World, _needs: Needs, _event: EventRow) -> bool:
    return world.fabric.inventory is not None


def _member_concerns(_world: World, _needs: Needs, _event: EventRow) -> bool:
    """It follows from its port, whose event is in the log too."""
    return False


def _differs(loaded: msgspec.Struct | None, event: EventRow, is_wanted: bool) -> bool:  # noqa: FBT001 - said at each call
    """An event may repeat a resource for a host that is new to it."""
    return is_wanted if loaded is None else event.body != _encode(loaded)


def _subnet_concerns(world: World, _: Needs, event: EventRow) -> bool:
    """One that was read, or one more of a network that was."""
    loaded = world.subnets.loaded(event.id)
    if loaded is not None or event.body is None:
        return _differs(loaded, event, is_wanted=False)
    return world.networks.loaded(_subnet(event.body).network_id) is not None


def _plain_concerns(world: World, needs: Needs, event: EventRow, type_: type[Value]) -> bool:
    loaded = world.of(type_).loaded(event.id)
    if type_ is SubnetPool and loaded is None and event.body is not None:
        return event.id in needs.plain[type_] or _is_looked_for(world, _pooled(event.body))
    if type_ is Router and loaded is None and event.body is not None:
        routed = _routed(event.body)
        if routed.vni is not None and world.segments.is_known(vni_key(routed.vni)):
            return True
        return event.id in needs.plain[type_] or _enters(world, routed)
    if type_ is FloatingIp and loaded is None and event.body is not None:
        return event.id in needs.plain[type_] or _leads(world, _led(event.body))
    known = world.usage.known if type_ is Quota else needs.plain[type_]
    return _differs(loaded, event, event.id in known)


def _is_looked_for(world: World, pool: _Pooled) -> bool:
    """One more pool in a scope that was read whole, or a default one where that was read."""
    in_scope = pool.address_scope_id in world.whole_scopes
    return in_scope or (pool.is_default and pool.ip_version in world.default_versions)


def _enters(world: World, router: _Routed) -> bool:
    """Whether a router may have got the gateway's address in a network whose subnets change.

    Or it is one more in a network whose routers were looked for.
    """
    looked_for = world.whole_networks | world.floating.routed_networks
    return any(each.network_id in looked_for for each in router.interfaces)


def _leads(world: World, floating: _Led) -> bool:
    """Whether it is one more of a port, or of a router, all of whose floating IPs were read."""
    known = world.floating
    return floating.port_id in known.of_ports or floating.router_id in known.of_routers


def _port_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    """One that was read; or one more or less of those that were counted, or looked for by host."""
    is_read = event.id in needs.ports or world.ports.loaded(event.id) is not None
    if is_read or _is_outside(needs, event):
        return True
    hosts = (event.hosts or frozenset()) | event.left_hosts
    if not (hosts or len(world.port_counts) or needs.used_groups):
        return False
    if hosts & (needs.ports_on | needs.refused_on) or _is_reported(needs, event, hosts):
        return True
    if event.body is None:
        left = {host for (_, host), before, now in world.binding_counts.changed() if before != now}
        return bool(hosts & left)
    placed = _placed(event.body)
    network_id = placed.network_id
    is_counted = world.port_counts.loaded(network_id) is not None
    if is_counted or not needs.used_groups.isdisjoint(placed.security_groups or ()):
        return True
    return any(_fewer(world, (network_id, host)) for host in hosts)


def _is_outside(needs: Needs, event: EventRow) -> bool:
    """One in a network that is to be external no more, or shared with fewer."""
    if event.body is None or not (needs.internal_networks or needs.unshared):
        return False
    network_id = _placed(event.body).network_id
    is_unshared = (ObjectType.NETWORK, network_id) in needs.unshared
    return is_unshared or network_id in needs.internal_networks


def _is_reported(needs: Needs, event: EventRow, hosts: frozenset[str]) -> bool:
    """One more port where an attachment changes: it must follow."""
    if event.body is None or not needs.reported:
        return False
    network_id = _placed(event.body).network_id
    return any((network_id, host) in needs.reported for host in hosts)


def _group_concerns(world: World, needs: Needs, event: EventRow) -> bool:
    """One that the batch changes or names; a default one that is new; one that names what goes."""
    loaded = world.of(SecurityGroup).loaded(event.id)
    if loaded is not None or event.id in needs.plain[SecurityGroup]:
        return _differs(loaded, event, is_wanted=True)
    is_known = world.group_projects.loaded(event.id) is not None
    if event.body is None:
        return is_known
    if event.id in needs.groups and (not is_known or _is_shared_anew(world, event)):
        return True
    if not (needs.default_groups or needs.deleted_groups):
        return False
    group = _group(event.body)
    if group.is_default and group.project_id in needs.default_groups:
        return world.default_groups.loaded(group.project_id) != event.id
    return any(rule.remote_group_id in needs.deleted_groups for rule in group.rules)


def _is_shared_anew(world: World, event: EventRow) -> bool:
    return event.body is not None and _group(event.body).shares != (
        world.sharing.groups.loaded(event.id) or ()
    )


def _fewer(world: World, key: tuple[str, str]) -> bool:
    """Whether the batch takes bindings from an attachment, which ends with its last one."""
    before, now = world.binding_counts.loaded(key), world.binding_counts.get(key)
    return before is not None and (now or 0) < before


_CONCERNS: Mapping[Kind, Callable[[World, Needs, EventRow], bool]] = {
    Kind.NETWORK: _network_concerns,
    Kind.SUBNET: _subnet_concerns,
    Kind.HOST: _host_concerns,
    Kind.ATTACHMENT: _attachment_concerns,
    Kind.PORT: _port_concerns,
    Kind.SECURITY_GROUP: _group_concerns,
    Kind.GROUP_MEMBER: _member_concerns,
    Kind.TOPOLOGY: _topology_concerns,
}
