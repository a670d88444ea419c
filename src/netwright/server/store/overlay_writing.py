"""Writes what fabric networks hold; a batch without one makes no statement here."""

from netwright.db.transaction import Transaction
from netwright.model.resources import Attachment
from netwright.model.states import AttachmentState
from netwright.server.overlay.reporting import OVERLAY_DEADLINE_S
from netwright.server.overlay.vlans import place_of
from netwright.server.store import schema
from netwright.server.world import World


async def write_overlay(tx: Transaction, world: World, last: int) -> None:
    """VLANs given and given back, interfaces taken and released, VNIs held. Raises KeyTaken.

    `last` is the place of the batch's last event, from which on what it let go of rests.
    """
    await _write_vnis(tx, world, last)
    if world.attachments.is_touched:
        await _write_deadlines(tx, world)
    if world.fabric.vlans.is_touched:
        changed = list(world.fabric.vlans.changed())
        gone = [key for key, before, _ in changed if before is not None]
        given = [
            (domain, network_id, vlan, place_of(domain, vlan))
            for (domain, network_id), _, vlan in changed
            if vlan is not None
        ]
        await tx.delete(schema.domain_vlan, gone)
        await tx.insert(schema.domain_vlan, given)
    if world.fabric.access.is_touched:
        taken = list(world.fabric.access.changed())
        await tx.delete(schema.access_port, [key for key, before, _ in taken if before])
        await tx.insert(schema.access_port, [(*key, *held) for key, _, held in taken if held])


async def _write_deadlines(tx: Transaction, world: World) -> None:
    due, over = [], []
    for key, before, attachment in world.attachments.changed():
        was = before is not None and _waits(before)
        if attachment is not None and _waits(attachment):
            due.append((*key, attachment.since + OVERLAY_DEADLINE_S))
        elif was:
            over.append(key)
    await tx.delete(schema.attachment_due, over)
    await tx.upsert(schema.attachment_due, due)


def _waits(attachment: Attachment) -> bool:
    """Whether the controller is to bring it up; a provider network's has no generation."""
    return attachment.generation > 0 and attachment.state is AttachmentState.WANTED


async def _write_vnis(tx: Transaction, world: World, last: int) -> None:
    if world.fabric.held_vnis.is_touched:
        changed = list(world.fabric.held_vnis.changed())
        await tx.delete(schema.held_vni, [(key,) for key, before, _ in changed if before])
        rows = [
            (key, held.vni, held.router_id, None if held.router_id else last)
            for key, _, held in changed
            if held is not None
        ]
        await tx.insert(schema.held_vni, rows)
    if world.fabric.clear_up_to >= 0:
        await tx.run("DELETE FROM held_vni WHERE gone_seq <= $1", world.fabric.clear_up_to)
