"""Decisions about networks."""

from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.errors import (
    Denied,
    InvalidInput,
    NetworkInUse,
    NetworkMTUSubnetConflict,
    NetworkNotFound,
    StaleRevision,
)
from netwright.model.resources import Network, NetworkType, Segment, ShareAction
from netwright.model.routing_errors import ExternalNetworkInUse
from netwright.model.segments import NetworkSegment, segment_key, segments_of
from netwright.model.sharing import is_external_to, is_shared_with
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    DeleteNetwork,
    NetworkDraft,
    UpdateNetwork,
)
from netwright.server.containers.places import require_known, require_zones
from netwright.server.each import each
from netwright.server.handed_over import require_free
from netwright.server.network_segments.keeping import take_further, take_own
from netwright.server.overlay.transit import release_vni
from netwright.server.prefixes import give_back
from netwright.server.qos.using import default_of, require_usable
from netwright.server.segments import choose
from netwright.server.sharing.decisions import require_unshared
from netwright.server.sharing.keeping import forget_shares, shared_at_first, shared_with_all
from netwright.server.world import World

_IPV6_MTU_MIN = 1280


def create(world: World, command: CreateNetworks) -> tuple[Network, ...]:
    return each("networks", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdateNetwork) -> tuple[Network, ...]:
    network = owned(world, command.caller, command.id)
    check_revision(network.revision_number, command.if_match)
    wanted = {
        "name": command.name,
        "description": command.description,
        "admin_state_up": command.admin_state_up,
        "port_security_enabled": command.port_security_enabled,
        "dns_domain": command.dns_domain,
        "labels": command.labels,
        "drift_domain": command.drift_domain,
        "qos_policy_id": command.qos_policy_id,
        "mtu": command.mtu if command.mtu is UNSET else _mtu(world, network.segment, command.mtu),
    }
    if command.drift_domain is not UNSET:
        require_known(world, command.drift_domain)
    if command.qos_policy_id is not UNSET and command.qos_policy_id != network.qos_policy_id:
        require_usable(world, command.caller, command.qos_policy_id)
    if command.external is False:
        require_unused_outside(world, network)
    changes = {key: value for key, value in wanted.items() if value is not UNSET}
    after = replace(network, **changes)
    for subnet in world.subnets_of(network.id) if command.mtu is not UNSET else ():
        require_mtu(network.id, after.mtu, subnet.ip_version)
    if changes or not (command.shared is UNSET and command.external is UNSET):
        network = touched(world, _reshared(world, command, after))
    return (network,)


def delete(world: World, command: DeleteNetwork) -> tuple[()]:
    network = owned(world, command.caller, command.id)
    check_revision(network.revision_number, command.if_match)
    ports = world.port_counts.get(network.id) or 0
    if ports:
        raise NetworkInUse(
            f"Unable to complete operation on network {network.id}: {ports} ports are in it.",
            next=f"delete them first: openstack port list --network {network.id}; a deleted port "
            "counts until its host has confirmed its withdrawal",
        )
    for subnet in world.subnets_of(network.id):
        world.subnets.put(subnet.id, None)
        give_back(world, subnet)
    forget_shares(world, network)
    world.networks.put(network.id, None)
    for one in segments_of(network):  # the store finds their rows by the network's: but for these,
        world.of(NetworkSegment).put(one.id, None)  # which the batch may have made or changed
    if network.segment.network_type is NetworkType.VXLAN and network.segment.segmentation_id:
        release_vni(world, network.segment.segmentation_id)
    else:
        for one in segments_of(network):
            world.segments.put(segment_key(one.segment), None)
    return ()


def addressable(world: World, caller: Caller, network_id: str) -> Network:
    """The network, if the caller may make subnets in it. Raises Denied for what it only sees."""
    network = world.networks.get(network_id)
    seen = network is not None and (
        _is_usable(network, caller) or is_external_to(network, caller.project_id)
    )
    if network is not None and seen and not caller.may_touch(network.project_id):
        raise Denied(
            f"rule:create_subnet is disallowed by policy: network {network_id} is another's",
            next="its owner makes its subnets; make a network of your own",
        )
    return owned(world, caller, network_id)


def owned(world: World, caller: Caller, network_id: str) -> Network:
    """The network, if it is the caller's to change; another project's does not exist for it."""
    network = world.networks.get(network_id)
    if network is None or not caller.may_touch(network.project_id):
        raise NetworkNotFound(f"Network {network_id} could not be found.")
    return network


def visible(world: World, caller: Caller, network_id: str) -> Network:
    """The network, if the caller may put ports into it: its own or one shared with it.

    Raises Denied for an external one, which everybody may know of.
    """
    network = world.networks.get(network_id)
    if network is not None and _is_usable(network, caller):
        return network
    if network is not None and is_external_to(network, caller.project_id):
        raise Denied(
            f"rule:create_port is disallowed by policy: network {network_id} is external",
            next="give a router its gateway there, or take a floating IP of it",
        )
    raise NetworkNotFound(f"Network {network_id} could not be found.")


def _is_usable(network: Network, caller: Caller) -> bool:
    return caller.may_touch(network.project_id) or is_shared_with(network, caller.project_id)


def touched(world: World, network: Network) -> Network:
    """Put the network with the next revision."""
    network = replace(network, revision_number=network.revision_number + 1, updated_at=world.now)
    world.networks.put(network.id, network)
    return network


def require_unused_outside(world: World, network: Network) -> None:
    """Raises ExternalNetworkInUse when gateways or floating IPs are in the network."""
    if network.external and world.floating.external_uses.get(network.id):
        raise ExternalNetworkInUse(
            f"External network {network.id} cannot be updated to be made non-external, since it "
            "has existing gateway ports.",
            next="clear routers' gateways and delete floating IPs there first",
        )


def check_revision(revision: int, if_match: int | None) -> None:
    if if_match is not None and if_match != revision:
        raise StaleRevision(
            f"Constrained to revision_number {if_match}, but actual revision is {revision}",
            next="read the resource again and decide on what it is now",
        )


def _reshared(world: World, command: UpdateNetwork, network: Network) -> Network:
    """The network, shared and external as the command wants it."""
    for action, wanted in (
        (ShareAction.AS_SHARED, command.shared),
        (ShareAction.AS_EXTERNAL, command.external),
    ):
        if wanted is not UNSET:
            network = shared_with_all(world, network, action, wanted=wanted)
    if command.shared is False:
        require_unshared(world, network, network.shares)
    return network


def _create(world: World, caller: Caller, draft: NetworkDraft) -> Network:
    require_free(world.networks, "Network", draft.id)
    require_known(world, draft.drift_domain)
    qos_policy_id = draft.qos_policy_id
    if qos_policy_id is UNSET:
        qos_policy_id = default_of(world, draft.project_id)
    else:
        require_usable(world, caller, qos_policy_id)
    require_zones(world, draft.availability_zone_hints)
    segment = choose(world, draft.id, draft.segment)
    network = Network(
        id=draft.id,
        project_id=draft.project_id,
        segment=segment,
        name=draft.name,
        description=draft.description,
        admin_state_up=draft.admin_state_up,
        shared=draft.shared,
        external=draft.external,
        tags=draft.tags,
        port_security_enabled=draft.port_security_enabled,
        dns_domain=draft.dns_domain,
        availability_zone_hints=draft.availability_zone_hints,
        labels=draft.labels,
        drift_domain=draft.drift_domain,
        qos_policy_id=qos_policy_id,
        mtu=_mtu(world, segment, draft.mtu),
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    take_own(world, network)
    for further in draft.further_segments:
        network = take_further(world, network, further)
    network = shared_at_first(world, network)
    world.networks.put(network.id, network)
    return network


def _mtu(world: World, segment: Segment, wanted: int | None) -> int:
    """The MTU asked for, or what its kind of network has. Raises InvalidInput."""
    rules, kind = world.segment_rules, segment.network_type
    if wanted is None:
        return rules.mtu_default(kind)
    if wanted > rules.mtu_max(kind):
        raise InvalidInput(
            f"Invalid input for mtu. Reason: {wanted} is too big: {rules.mtu_max(kind)} is the "
            f"most that a {kind} network carries over a fabric whose fabric_mtu is "
            f"{rules.fabric_mtu}.",
            next="ask for less, or set fabric_mtu in the server's configuration to what the links"
            " of the fabric carry",
        )
    return wanted


def require_mtu(network_id: str, mtu: int, ip_version: int) -> None:
    """Raises NetworkMTUSubnetConflict when IPv6 does not work with it (RFC 8200, section 5)."""
    if ip_version == 6 and mtu < _IPV6_MTU_MIN:  # noqa: PLR2004
        raise NetworkMTUSubnetConflict(
            f"MTU of {network_id} is not valid, subnet requires a minimum of {_IPV6_MTU_MIN}",
            next=f"the network's is {mtu}: openstack network set --mtu",
        )
