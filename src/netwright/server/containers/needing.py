"""What each command about containers' ports must have loaded before it can be decided (`needs`)."""

from netwright.server.containers.commands import ClaimPort, EndClaim, LetGoOfOwners
from netwright.server.needs import Needs, SlotWish


def claim(needs: Needs, command: ClaimPort) -> None:
    draft = command.draft
    needs.hosts.add(draft.host)
    needs.labelled.append(draft)
    if draft.is_chosen:
        needs.ports.add(draft.id)
        needs.chosen_ports.add(draft.id)
    needs.may_drift = True
    project_id, name = draft.project_id, draft.unique_name or ""
    if command.slots:
        containers = (draft.device_id, command.replaces)
        needs.slot_wishes.append(SlotWish(project_id, name, command.slots, containers))
    else:
        needs.unique_names.add((project_id, name))


def end(needs: Needs, command: EndClaim) -> None:
    needs.unique_names.add((command.caller.project_id, command.unique_name))
    needs.deletes = True


def let_go(needs: Needs, command: LetGoOfOwners) -> None:
    needs.ports.update(command.port_ids)
    needs.deletes = True
