"""Decisions about ports: create, update, delete."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.errors import InvalidInput, PortNotFound, UniqueNameConflict
from netwright.model.labels import parse_selector
from netwright.model.planes import planes_on
from netwright.model.resources import FixedIp, Network, Port
from netwright.model.states import Event, PortState
from netwright.server.commands import (
    AddressWish,
    Caller,
    CreatePorts,
    DeletePorts,
    PortChange,
    PortDraft,
    UpdatePorts,
)
from netwright.server.each import each
from netwright.server.floating.known import let_go as let_go_of_floating
from netwright.server.handed_over import require_free
from netwright.server.network_segments.reach import require_one_segment, require_reached
from netwright.server.networks import check_revision, visible
from netwright.server.overlay.attachments import is_fabric
from netwright.server.ports.addressing import Addressee, assign, eui64, is_slaac
from netwright.server.ports.bindings import (
    bind,
    readdress,
    retry_refused,
    rewire,
    take_back,
    unbind,
)
from netwright.server.ports.deferred import when_allocated
from netwright.server.ports.dhcp import dhcp_options
from netwright.server.ports.giving_back import give_back, held_addresses
from netwright.server.ports.interfaces import require_as_attached, require_no_interface
from netwright.server.ports.lifecycle import happen, may_answer, names_of
from netwright.server.ports.macs import choose_mac, rests
from netwright.server.ports.network_choice import create_where_free
from netwright.server.ports.pairs import check_pairs, pairs_of
from netwright.server.ports.release import release_if_unbound
from netwright.server.qos.using import require_usable
from netwright.server.security.taking import groups_after, groups_at_first
from netwright.server.trunks.keeping import require_in_no_trunk
from netwright.server.world import World


def create(world: World, command: CreatePorts) -> tuple[Port, ...]:
    return each("ports", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdatePorts) -> tuple[Port, ...]:
    return tuple(_update(world, command.caller, change) for change in command.changes)


def change(world: World, caller: Caller, wanted: PortChange) -> Port:
    """Change a port, also what only its router may."""
    return _change(world, caller, wanted)


def delete(world: World, command: DeletePorts) -> tuple[()]:
    for port_id in command.ids:
        port = owned(world, command.caller, port_id)
        check_revision(port.revision_number, command.if_match)
        require_no_interface(world, port)
        require_in_no_trunk(port)
        remove(world, port, actor=actor_of(command.caller))
    return ()


def remove(world: World, port: Port, *, actor: str) -> None:
    """The end of a port, or its beginning where hosts may answer for it."""
    let_go_of_floating(world, port, port.fixed_ips)
    if port.unique_name is not None:
        world.unique_names.put((port.project_id, port.unique_name), None)
    port = unbind(world, port, Event.DELETE, actor=actor)
    release_if_unbound(world, port)


def _create(world: World, caller: Caller, draft: PortDraft) -> Port:
    require_free(world.ports, "Port", draft.id)
    network = None if draft.network_labels else visible(world, caller, draft.network_id)
    namesake = _namesake(world, draft)
    if namesake is not None:
        return namesake
    if network is None:
        return create_where_free(world, draft, partial(create_in, world, caller, draft))
    return create_in(world, caller, draft, network)


def create_in(world: World, caller: Caller, draft: PortDraft, network: Network) -> Port:
    """Make the port in this network, whatever network or labels its draft names."""
    reclaims_mac = rests(world, network.id, draft.mac_address)
    mac = choose_mac(world, network, draft.id, draft.project_id, draft.mac_address)
    addressee = Addressee(
        draft.id,
        draft.project_id,
        network,
        mac,
        draft.device_owner,
        sees_all=caller.is_admin,
        host=draft.host,
    )
    fixed_ips = assign(world, addressee, draft.fixed_ips)
    require_usable(world, caller, draft.qos_policy_id)
    secure = draft.port_security_enabled
    secured = network.port_security_enabled if secure is UNSET else secure
    port = Port(
        id=draft.id,
        project_id=draft.project_id,
        network_id=network.id,
        mac_address=mac,
        name=draft.name,
        unique_name=draft.unique_name,
        description=draft.description,
        tags=draft.tags,
        admin_state_up=draft.admin_state_up,
        device_id=draft.device_id,
        device_owner=draft.device_owner,
        fixed_ips=fixed_ips,
        ip_allocation=when_allocated(addressee, draft.fixed_ips),
        reclaimed=reclaims_mac or addressee.reclaimed,
        allowed_address_pairs=pairs_of(draft.allowed_address_pairs, mac),
        extra_dhcp_opts=dhcp_options((), draft.extra_dhcp_opts),
        dns_name=draft.dns_name,
        dns_domain=draft.dns_domain,
        propagate_uplink_status=draft.propagate_uplink_status,
        port_security_enabled=secured,
        security_groups=groups_at_first(world, caller, draft, port_security=secured),
        qos_policy_id=draft.qos_policy_id,
        vnic_type=draft.vnic_type,
        profile=draft.profile,
        state_since=world.now,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
        history_length=world.history_of(draft.id) if draft.is_chosen else 0,
    )
    check_pairs(port)
    world.ports.put(port.id, port)
    if draft.unique_name is not None:
        world.unique_names.put((draft.project_id, draft.unique_name), port.id)
    world.port_counts.put(network.id, (world.port_counts.get(network.id) or 0) + 1)
    if draft.host:
        port = bind(world, port, draft.host, actor=actor_of(caller))
    return port


def _update(world: World, caller: Caller, change: PortChange) -> Port:
    before = owned(world, caller, change.id)
    after = _change(world, caller, change)
    require_as_attached(world, before, after)
    return after


def _change(world: World, caller: Caller, change: PortChange) -> Port:
    port = owned(world, caller, change.id)
    check_revision(port.revision_number, change.if_match)
    network = world.networks.get(port.network_id)
    assert network is not None, f"port {port.id}'s network was not loaded"
    before = port
    port = replace(
        port,
        **_plain_changes(change),
        extra_dhcp_opts=dhcp_options(port.extra_dhcp_opts, change.extra_dhcp_opts),
    )
    if port.qos_policy_id != before.qos_policy_id:
        require_usable(world, caller, port.qos_policy_id)
    groups = groups_after(world, caller, before, port, change.security_groups)
    port = replace(port, security_groups=groups)
    if change.mac_address is not UNSET and change.mac_address != port.mac_address:
        port = _with_mac(world, port, network, change.mac_address)
    if change.fixed_ips is not UNSET:
        wishes = _of_new_mac(world, change.fixed_ips, before, port)
        addressee = _addressee(port, network, caller)
        port = _with_addresses(world, port, addressee, wishes)
        if change.host in {UNSET, _host_of(port)}:
            require_reached(world, network, port)
    if port.mac_address != before.mac_address:
        port = _renewed(world, port, _addressee(port, network, caller), before.mac_address)
    if change.allowed_address_pairs is not UNSET:
        pairs = pairs_of(change.allowed_address_pairs, port.mac_address)
        port = replace(port, allowed_address_pairs=pairs)
    check_pairs(port)
    gone = [ip for ip in before.fixed_ips if ip not in port.fixed_ips]
    let_go_of_floating(world, port, gone)
    port = _let_go(world, before, port)
    if port != before:
        port = _put(world, before, port, actor_of(caller))
        port = _tried_again(world, network, before, port)
    if change.profile is not UNSET and change.host in {UNSET, _host_of(port)}:
        port = rewire(world, before, port, actor=actor_of(caller))
    if change.host is not UNSET:
        port = bind(world, port, change.host, actor=actor_of(caller))
    _check_wiring(network, before, port)
    return port


def _tried_again(world: World, network: Network, before: Port, port: Port) -> Port:
    """The port where it is bound, if it was refused there for the addresses that it had, or not."""
    if port.fixed_ips == before.fixed_ips or is_fabric(network):
        return port
    retry_refused(world, port.id)
    return world.ports.get(port.id) or port


def _host_of(port: Port) -> str:
    return port.active_binding.host if port.active_binding is not None else ""


def _check_wiring(network: Network, before: Port, port: Port) -> None:
    """A binding is made for the planes that the port needs, so they stay while it is bound."""
    for was in before.bindings:
        now = port.binding_on(was.host)
        if now is None or not (was.active or was.is_standby):
            continue
        is_kept = (was.active, was.is_standby) == (now.active, now.is_standby)
        if is_kept and planes_on(was, before, network) != planes_on(now, port, network):
            _refuse_other_planes(before, port)


def _refuse_other_planes(before: Port, port: Port) -> NoReturn:
    changed = "device_owner" if port.vnic_type is before.vnic_type else "binding:vnic_type"
    raise InvalidInput(
        f"Invalid input for {changed}. Reason: port {port.id} is bound to a host, "
        "which wires it as it was.",
        next="unbind the port first",
    )


def _let_go(world: World, before: Port, port: Port) -> Port:
    """The port, with what has gone from it as remnants of the bindings that may have wired it."""
    gone = tuple(ip for ip in before.fixed_ips if ip not in port.fixed_ips)
    macs = () if before.mac_address == port.mac_address else (before.mac_address,)
    return readdress(world, take_back(port, port.fixed_ips, port.mac_address), gone, macs)


def _put(world: World, before: Port, port: Port, actor: str) -> Port:
    """The port as stored; events tell of it as it is wired, until a new binding knows its kind."""
    wired = told = replace(port, vnic_type=before.vnic_type, device_owner=before.device_owner)
    if port.admin_state_up != before.admin_state_up:
        event = Event.ADMIN_UP if port.admin_state_up else Event.ADMIN_DOWN
        told = happen(world, told, event, actor=actor)
    if port.generation != before.generation:
        told = _readdressed(world, told, actor)
    port = replace(told, vnic_type=port.vnic_type, device_owner=port.device_owner)
    if told is wired or port != told:
        port = replace(port, revision_number=port.revision_number + 1, updated_at=world.now)
        give_back(world, world.ports.get(port.id), port)
        world.ports.put(port.id, port)
    return port


def _readdressed(world: World, port: Port, actor: str) -> Port:
    """The port as it has lost addresses or its MAC, and its history says who still has them.

    Its state stays: what it has beside them goes on working, and Nova, which knows nothing of the
    addresses that go, must not see a port of a running instance leave ACTIVE.
    """
    holding = [binding for binding in port.bindings if binding.remnant and may_answer(binding)]
    held = ", ".join(sorted({names_of(b.remnant) for b in holding if b.remnant}))
    hosts = ", ".join(binding.host for binding in holding)
    return happen(
        world,
        port,
        Event.READDRESS,
        actor=actor,
        binding=holding[0],
        cause=f"{held}: held until host {hosts} no longer answers for it",
    )


def _plain_changes(change: PortChange) -> Mapping[str, Any]:
    wanted = {
        "name": change.name,
        "description": change.description,
        "admin_state_up": change.admin_state_up,
        "device_id": change.device_id,
        "device_owner": change.device_owner,
        "port_security_enabled": change.port_security_enabled,
        "qos_policy_id": change.qos_policy_id,
        "vnic_type": change.vnic_type,
        "profile": change.profile,
        "dns_name": change.dns_name,
        "dns_domain": change.dns_domain,
        "data_plane_status": change.data_plane_status,
        "propagate_uplink_status": change.propagate_uplink_status,
    }
    return {key: value for key, value in wanted.items() if value is not UNSET}


def _with_mac(world: World, port: Port, network: Network, mac: str) -> Port:
    if port.active_binding is not None and port.device_owner.startswith("compute:"):
        raise InvalidInput(
            f"Invalid input for mac_address. Reason: port {port.id} is bound to a host, "
            f"where an instance uses {port.mac_address}.",
            next="unbind the port first",
        )
    reclaimed = port.reclaimed or rests(world, network.id, mac)
    choose_mac(world, network, port.id, port.project_id, mac)
    world.macs.put((network.id, port.mac_address), None)
    return replace(port, mac_address=mac, reclaimed=reclaimed)


def _of_new_mac(
    world: World, wishes: tuple[AddressWish, ...], before: Port, port: Port
) -> tuple[AddressWish, ...]:
    """The wishes of a request that may change the MAC too.

    Who names the SLAAC address of the MAC that goes, as a client does that sends back all it was
    told, gets that of the MAC that comes: to take the old one would only be to give it back.
    """
    if port.mac_address == before.mac_address:
        return wishes
    slaac = [subnet for subnet in world.subnets_of(port.network_id) if is_slaac(subnet)]
    gone = {eui64(subnet.cidr, before.mac_address): subnet.id for subnet in slaac}
    return tuple(
        AddressWish(subnet_id=gone[wish.ip_address]) if wish.ip_address in gone else wish
        for wish in wishes
    )


def _renewed(world: World, port: Port, addressee: Addressee, mac_before: str) -> Port:
    """The port with the SLAAC addresses of its MAC in place of those of the MAC before.

    The instance makes them of its MAC by itself, whatever the request says of addresses (Neutron
    does likewise).
    """
    fixed_ips = list(port.fixed_ips)
    for n, ip in enumerate(fixed_ips):
        subnet = world.subnets.get(ip.subnet_id)
        if subnet is None or not is_slaac(subnet):
            continue
        if ip.ip_address == eui64(subnet.cidr, mac_before):
            wish = AddressWish(subnet_id=subnet.id)
            (fixed_ips[n],) = assign(world, addressee, (wish,))
    reclaimed = port.reclaimed or addressee.reclaimed
    return replace(port, fixed_ips=tuple(fixed_ips), reclaimed=reclaimed)


def _addressee(port: Port, network: Network, caller: Caller) -> Addressee:
    remnants = held_addresses(port).difference(port.fixed_ips)
    return Addressee(
        port.id,
        port.project_id,
        network,
        port.mac_address,
        port.device_owner,
        remnants=remnants,
        sees_all=caller.is_admin,
    )


def _with_addresses(
    world: World, port: Port, addressee: Addressee, wishes: tuple[AddressWish, ...]
) -> Port:
    """Keep the addresses named again, let go of the others, allocate the new ones.

    Exact wishes come first: one for any address of a subnet must not use up what another names.
    """
    kept: dict[int, FixedIp] = {}
    for n in sorted(range(len(wishes)), key=lambda n: wishes[n].ip_address is None):
        same = next(
            (ip for ip in port.fixed_ips if _is(ip, wishes[n]) and ip not in kept.values()), None
        )
        if same is not None:
            kept[n] = same
    new = tuple(wish for n, wish in enumerate(wishes) if n not in kept)
    granted = iter(assign(world, addressee, new))
    fixed_ips = tuple(kept.get(n) or next(granted) for n in range(len(wishes)))
    require_one_segment(world, fixed_ips)
    return replace(port, fixed_ips=fixed_ips, reclaimed=port.reclaimed or addressee.reclaimed)


def _is(fixed_ip: FixedIp, wish: AddressWish) -> bool:
    if wish.ip_address is None:
        return wish.subnet_id == fixed_ip.subnet_id
    return wish.ip_address == fixed_ip.ip_address and wish.subnet_id in {
        None,
        fixed_ip.subnet_id,
    }


def _namesake(world: World, draft: PortDraft) -> Port | None:
    """The port that has the draft's unique name already: creating it again returns it (law 4)."""
    if draft.unique_name is None:
        return None
    holder = world.unique_names.get((draft.project_id, draft.unique_name))
    port = world.ports.get(holder) if holder is not None else None
    if port is None:
        return None
    asked = (
        ()
        if draft.fixed_ips is UNSET
        else tuple(
            wish for wish in draft.fixed_ips if not any(_is(ip, wish) for ip in port.fixed_ips)
        )
    )
    if asked or not _is_asked_for(world, draft, port.network_id):
        addresses = ", ".join(ip.ip_address for ip in port.fixed_ips) or "no address"
        raise UniqueNameConflict(
            f"unique_name '{draft.unique_name}' is port {port.id}'s in network {port.network_id} "
            f"with {addresses}.",
            next="ask for the same network and addresses, choose another name, or delete that port",
        )
    return port


def _is_asked_for(world: World, draft: PortDraft, network_id: str) -> bool:
    if not draft.network_labels:
        return network_id == draft.network_id
    network = world.networks.get(network_id)
    return network is not None and parse_selector(draft.network_labels).matches(network.labels)


def owned(world: World, caller: Caller, port_id: str) -> Port:
    """The port, if it is the caller's to change; another project's does not exist for it."""
    port = world.ports.get(port_id)
    if port is None or port.state is PortState.RELEASING or not caller.may_touch(port.project_id):
        raise PortNotFound(f"Port {port_id} could not be found.")
    return port


def actor_of(caller: Caller) -> str:
    """Who asks, in words for a port's history."""
    if caller.host is not None:
        return f"agent {caller.host}"
    return "admin" if caller.is_admin else f"project {caller.project_id}"
