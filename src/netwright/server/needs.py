"""What a batch must have loaded before it can be decided; `noting` says what each command needs."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from netwright.ipam.addresses import Address, from_text
from netwright.model.fabric import AttachmentReport
from netwright.model.resources import NetworkType, Value, VnicType
from netwright.model.routing import NO_PROJECT
from netwright.model.sharing import ObjectType
from netwright.model.topology import End, FabricSettings
from netwright.server.commands import (
    AddressWish,
    PortDraft,
)
from netwright.server.overlay.links import named_by
from netwright.server.ports.macs import first_candidate


class PrefixWish(NamedTuple):
    """A prefix that a project wants of a pool, or of the default one; "" and None: any."""

    pool_id: str | None
    ip_version: int
    project_id: str
    cidr: str
    prefixlen: int | None


class InterfaceWish(NamedTuple):
    """A router's interface in a subnet: to be made with this new port, or (None) to go."""

    router_id: str
    subnet_id: str
    new_port_id: str | None


class SlotWish(NamedTuple):
    """A container that wants one of so many names of a project's template, or has one."""

    project_id: str
    template: str
    slots: int
    containers: tuple[str, ...]


@dataclass(slots=True)
class Needs:
    """Keys to load, for a whole batch.

    Following from these, the loader also brings: a port's network, its hosts, its attachments and
    its addresses' rows; a network's subnets. Those that change bring all their attachments, since
    their hosts must hear of it; those that go, what still uses them.
    `ports_on` are hosts all of whose ports are wanted, `refused_on` those of which only the ports
    that were refused or fenced are. `first_macs` are the first choices of ports to be made, which
    have others if those are not free. `addresses` are asked for by name, in a network, since the
    subnet may not be known yet; `port_addresses` and `port_macs` in a port's network. `draws`
    counts addresses that any subnet of the network may give, so that blocks are leased before and
    not amid the decisions. `segment_choices` are networks whose segment is to be chosen, with its
    type if that was said. `plain` are ids of plain resources by their type. `labelled` are drafts
    of ports whose network is to be chosen: what they need follows from the choice.

    `groups` are security groups that ports or rules name, `default_groups` projects whose default
    one may be wanted; `used_groups` those whose ports are counted, `deleted_groups` those that
    rules may name, address groups among them. `projects` are those that get something, and all
    whose resources are loaded if something `deletes`; `quotas` those whose limits are set.

    Of subnet pools: `default_versions` are IP versions whose default pool is asked for,
    `whole_scopes` scopes all of whose pools are, as are those of `changed_pools`. `grown_pools` get
    other prefixes, `rescoped_pools` another scope, which their subnets' networks show.
    Of the fabric: its `inventory`, where no network on a host needs it already; all attachments of
    its networks, or those of `ended_hosts`; `access` are leaf interfaces that bare metal names.
    `reported` (network, host) are attachments that change, with their ports, by a report if there
    is one; `linked` leaf interfaces whose links do, with their hosts. Who reports shows the
    controller's `lease`. `transit`: routers may come to need VNIs, all of them for a `new_fabric`.
    Of `gateways`, subnets, whoever has the gateway's address is wanted.
    Of floating IPs: all those of `floating_ports` and `floating_routers`; `floating_targets` are
    ports that get one, by a router of their networks. Of routers with `changed_gateways`, and of
    `deleted_floating`, the ports that hold their addresses; `internal_networks` cease to be
    external.
    Of QoS policies: the `default_policies` of projects, and of those of `rivalled_policies`, which
    are to be default ones; who has `deleted_policies`.
    Of `deleted_segments`, the hosts that their networks are attached to.
    Of `unshared` resources, that may come to be shared with fewer: which projects use them.
    Of `chosen_ports`, ids of new ports that somebody chose, the history that ports of theirs had.
    Of containers: `slot_wishes`; `may_drift`: ports move as far as their networks let them.
    """

    networks: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    chosen_ports: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    ports_on: set[str] = field(default_factory=set)
    refused_on: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    segment_choices: dict[str, NetworkType | None] = field(default_factory=dict)
    macs: set[tuple[str, str]] = field(default_factory=set)
    first_macs: dict[tuple[str, str], str] = field(default_factory=dict)
    port_macs: set[tuple[str, str]] = field(default_factory=set)
    unique_names: set[tuple[str, str]] = field(default_factory=set)
    addresses: set[tuple[str, Address]] = field(default_factory=set)
    port_addresses: set[tuple[str, Address]] = field(default_factory=set)
    attachments: set[tuple[str, str]] = field(default_factory=set)
    changed_networks: set[str] = field(default_factory=set)
    changed_subnets: set[str] = field(default_factory=set)
    deleted_networks: set[str] = field(default_factory=set)
    deletes_subnets: bool = False
    revocations: set[str] = field(default_factory=set)
    draws: Counter[str] = field(default_factory=Counter)
    subnet_draws: Counter[str] = field(default_factory=Counter)
    labelled: list[PortDraft] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    default_groups: set[str] = field(default_factory=set)
    default_rules: bool = False
    used_groups: set[str] = field(default_factory=set)
    deleted_groups: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)
    quotas: set[str] = field(default_factory=set)
    deletes: bool = False
    default_versions: set[int] = field(default_factory=set)
    whole_scopes: set[str] = field(default_factory=set)
    changed_pools: set[str] = field(default_factory=set)
    grown_pools: set[str] = field(default_factory=set)
    rescoped_pools: set[str] = field(default_factory=set)
    prefix_wishes: list[PrefixWish] = field(default_factory=list)
    interfaces: list[InterfaceWish] = field(default_factory=list)
    gateways: set[str] = field(default_factory=set)
    floating_ports: set[str] = field(default_factory=set)
    floating_routers: set[str] = field(default_factory=set)
    floating_targets: set[str] = field(default_factory=set)
    changed_gateways: set[str] = field(default_factory=set)
    deleted_floating: set[str] = field(default_factory=set)
    unshared: set[tuple[ObjectType, str]] = field(default_factory=set)
    internal_networks: set[str] = field(default_factory=set)
    default_policies: set[str] = field(default_factory=set)
    rivalled_policies: set[str] = field(default_factory=set)
    deleted_policies: set[str] = field(default_factory=set)
    deleted_segments: set[str] = field(default_factory=set)
    slot_wishes: list[SlotWish] = field(default_factory=list)
    may_drift: bool = False
    inventory: bool = False
    all_attachments: bool = False
    lease: bool = False
    transit: bool = False
    new_fabric: FabricSettings | None = None
    linked: set[End] = field(default_factory=set)
    reported: dict[tuple[str, str], AttachmentReport | None] = field(default_factory=dict)
    ended_hosts: set[str] = field(default_factory=set)
    access: set[tuple[str, str]] = field(default_factory=set)
    plain: defaultdict[type[Value], set[str]] = field(default_factory=lambda: defaultdict(set))


def need_port(needs: Needs, draft: PortDraft) -> None:
    """What a port needs that is to be made in the network that its draft names."""
    needs.networks.add(draft.network_id)
    if draft.project_id != NO_PROJECT:
        needs.projects.add(draft.project_id)
    if draft.mac_address is not None:
        needs.macs.add((draft.network_id, draft.mac_address))
    else:
        choice = (draft.network_id, first_candidate(draft.id))
        needs.macs.add(choice)
        needs.first_macs[choice] = draft.id
    if draft.fixed_ips is UNSET:
        needs.draws[draft.network_id] += 1
    else:
        need_addresses(needs, draft.network_id, draft.fixed_ips)
    if draft.security_groups is not UNSET:
        needs.groups.update(draft.security_groups)
    elif draft.port_security_enabled is not False:
        needs.default_groups.add(draft.project_id)
    if draft.host:
        needs.hosts.add(draft.host)
        needs.attachments.add((draft.network_id, draft.host))
        need_access(needs, draft.vnic_type, draft.profile)


def need_access(
    needs: Needs, vnic_type: VnicType | UnsetType, profile: Mapping[str, Any] | UnsetType
) -> None:
    """The interfaces that a binding profile names; of what kind the port is may not be said."""
    if vnic_type is not VnicType.NORMAL and profile is not UNSET:
        needs.access.update((each.switch, each.interface) for each in named_by(profile))


def need_addresses(needs: Needs, network_id: str, wishes: tuple[AddressWish, ...]) -> None:
    for wish in wishes:
        if wish.ip_address is not None:
            needs.addresses.add((network_id, from_text(wish.ip_address)))
        elif wish.subnet_id is not None:
            needs.subnet_draws[wish.subnet_id] += 1
