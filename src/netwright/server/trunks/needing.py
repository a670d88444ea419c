"""What each command about trunks must have loaded (`needs`); a trunk brings its ports."""

from netwright.model.trunks import Trunk
from netwright.server.needs import Needs
from netwright.server.trunks.commands import (
    AddSubPorts,
    CreateTrunks,
    DeleteTrunk,
    RemoveSubPorts,
    UpdateTrunk,
)


def create_trunks(needs: Needs, command: CreateTrunks) -> None:
    for draft in command.drafts:
        needs.projects.add(draft.project_id)
        needs.ports.add(draft.port_id)
        needs.ports.update(wish.port_id for wish in draft.sub_ports)


def change_trunk(needs: Needs, command: UpdateTrunk) -> None:
    needs.plain[Trunk].add(command.id)


def delete_trunk(needs: Needs, command: DeleteTrunk) -> None:
    needs.plain[Trunk].add(command.id)
    needs.deletes = True


def add_sub_ports(needs: Needs, command: AddSubPorts) -> None:
    needs.plain[Trunk].add(command.trunk_id)
    needs.ports.update(wish.port_id for wish in command.sub_ports)


def remove_sub_ports(needs: Needs, command: RemoveSubPorts) -> None:
    needs.plain[Trunk].add(command.trunk_id)
    needs.ports.update(command.port_ids)
