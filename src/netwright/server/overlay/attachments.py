"""Attachments: a network on a host, counted by the bindings that stand there.

    (none) ─first binding─▶ wanted ⇄ up ⇄ drifted, refused      the controller's word
      ▲                       └─last binding gone─▶ withdrawing ─a new binding─▶ wanted
      └──────── the controller: nothing of it is on any leaf ◀──┘

A provider network's attachment is up by definition and goes with its last binding: its VLAN on the
switches is set by hand. A fabric network's has a VLAN of the host's VLAN domain, or the interfaces
of bare metal, and rests until the controller has confirmed that it is gone (ADR 21, 23).
"""

from msgspec.structs import replace

from netwright.model.resources import (
    Attachment,
    Network,
    NetworkType,
    Port,
    Prepared,
    VnicType,
)
from netwright.model.states import ATTACHMENT, AttachmentState, Event
from netwright.server.overlay.access import (
    access_refusal,
    hold_access,
    holds_of,
    release_access,
)
from netwright.server.overlay.capacity import brings, room_refusal, vni_refusal
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.links import named_by
from netwright.server.overlay.vlans import exhausted, free_vlan, give_vlan_back, take_vlan
from netwright.server.world import World

_BY_HAND = "the switches carry a provider network by hand"


def is_fabric(network: Network) -> bool:
    """Whether the fabric carries it: what a controller configures, not somebody by hand."""
    return network.segment.network_type is NetworkType.VXLAN


def attach(world: World, network: Network, host: str) -> None:
    """Count one more binding of the network on the host; the first makes the attachment."""
    key = (network.id, host)
    world.binding_counts.put(key, (world.binding_counts.get(key) or 0) + 1)
    if is_fabric(network):
        return  # `join`, when the host was found to be able to serve it
    if world.attachments.get(key) is None:
        world.attachments.put(
            key,
            Attachment(
                network_id=network.id,
                host=host,
                state=AttachmentState.UP,
                since=world.now,
                cause=_BY_HAND,
            ),
        )


def join(world: World, network: Network, port: Port, host: str, kind: Prepared) -> None:
    """The fabric network is wanted on the host, for a binding of this kind that can be served.

    With another interface of a machine all of it is verified anew; the machine's other ports stand
    as they were last reported until then.
    """
    key = (network.id, host)
    before = world.attachments.get(key)
    vlan = before.vlan if before is not None else None
    if kind.vnic_type is VnicType.BAREMETAL:
        hold_access(world, network, port.id, host, kind)
    else:
        release_access(world, port.id, host)
        domain = _inventory(world).domain_of(host)
        assert domain is not None, f"host {host} is in no VLAN domain"
        vlan = take_vlan(world, domain, network.id)
    access = holds_of(world, network.id, host)
    if world.fabric.room is not None:
        world.fabric.room.take(network.id, _ends(world, host, kind), brings(port))
    if before is None:
        made = Attachment(
            network_id=network.id,
            host=host,
            state=AttachmentState.WANTED,
            since=world.now,
            vlan=vlan,
            access=access,
            generation=int(world.now * 1000),  # more than that of any that ended before
        )
        world.attachments.put(key, made)
        return
    after = step_attachment(before, Event.BIND, now=world.now, cause=before.cause)
    more = vlan != before.vlan or not set(access) <= set(before.access)
    if more and after.state is not AttachmentState.WANTED:  # what is new of it is not verified yet
        after = replace(after, state=AttachmentState.WANTED, since=world.now, cause="")
    if more or before.state is AttachmentState.WITHDRAWING:
        after = replace(after, generation=before.generation + 1)
    world.attachments.put(key, replace(after, vlan=vlan, access=access))


def fabric_refusal(world: World, network: Network, port: Port, host: str, kind: Prepared) -> str:
    """Why the fabric cannot carry the network to the host; "" when it can. Raises NeedsVlans."""
    refusal = (
        access_refusal(world, network.id, port.id, host, kind)
        if kind.vnic_type is VnicType.BAREMETAL
        else _host_refusal(world, network, host)
    )
    return refusal or room_refusal(world, port, _ends(world, host, kind))


def _host_refusal(world: World, network: Network, host: str) -> str:
    domain = _inventory(world).domain_of(host)
    if domain is None:
        return (
            f"the inventory knows no link of host {host} to a leaf, which network {network.id} "
            "would come over: add its links (netwright topology apply)"
        )
    if free_vlan(world, domain, network.id) is None:
        return exhausted(domain, network.id)
    inventory = _inventory(world)
    return vni_refusal(world, inventory, network.id, inventory.leaves_of(host))


def detach(world: World, network: Network | None, port: Port, host: str) -> None:
    """Count one binding less; with the last the attachment goes, or begins to."""
    key = (port.network_id, host)
    count = (world.binding_counts.get(key) or 0) - 1
    world.binding_counts.put(key, max(count, 0))
    if network is None or not is_fabric(network):
        if count <= 0:
            world.attachments.put(key, None)
        return
    release_access(world, port.id, host)
    before = world.attachments.get(key)
    if before is None or before.state is AttachmentState.WITHDRAWING:
        return  # what remained could not be served
    if count > 0:
        if before.access:
            world.attachments.put(key, replace(before, access=holds_of(world, network.id, host)))
        return
    after = step_attachment(before, Event.UNBIND, now=world.now)
    world.attachments.put(key, after)
    if not world.fabric.has_controller:  # nobody has ever configured anything of it
        end(world, after)


def release(world: World, attachment: Attachment) -> None:
    """Take it out of the world; of its VLAN this says nothing."""
    world.attachments.put((attachment.network_id, attachment.host), None)


def end(world: World, attachment: Attachment) -> None:
    """Nothing of it is there any more; with a network's last in the domain its VLAN is free.

    All attachments of the network in the domain are loaded.
    """
    network_id, host = attachment.network_id, attachment.host
    release(world, attachment)
    domain = _inventory(world).domain_of(host)
    if attachment.vlan is None or domain is None:
        return
    if all(world.attachments.get((network_id, each)) is None for each in domain.hosts):
        give_vlan_back(world, domain.name, network_id)


def step_attachment(
    attachment: Attachment, event: Event, *, now: float, cause: str = ""
) -> Attachment:
    """The attachment after the event. Raises KeyError when the table has no such row."""
    state = ATTACHMENT[attachment.state, event]
    return replace(
        attachment,
        state=state,
        since=attachment.since if state is attachment.state else now,
        cause="" if state is AttachmentState.UP else cause,
    )


def _ends(world: World, host: str, kind: Prepared) -> dict[str, str]:
    """The leaf interfaces that such a binding hangs on, by leaf; one of several."""
    if kind.vnic_type is VnicType.BAREMETAL:
        return {each.switch: each.interface for each in named_by(kind.profile)}
    return {each.upper.node: each.upper.interface for each in _inventory(world).links_of(host)}


def _inventory(world: World) -> Inventory:
    assert world.fabric.inventory is not None, "the inventory was not loaded"
    return world.fabric.inventory
