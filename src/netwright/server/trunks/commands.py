"""What can be asked of trunks (`server.commands` has the others, and says how)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import Value
from netwright.server.commands import Command


class SubPortWish(Value, frozen=True, kw_only=True):
    """A port that is to be a subport; without a VLAN id it inherits that of its network."""

    port_id: str
    segmentation_id: int | None = None


class TrunkDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    port_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    sub_ports: tuple[SubPortWish, ...] = ()


class CreateTrunks(Command, frozen=True, kw_only=True):
    drafts: tuple[TrunkDraft, ...]


class UpdateTrunk(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    if_match: int | None = None


class DeleteTrunk(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddSubPorts(Command, frozen=True, kw_only=True):
    trunk_id: str
    sub_ports: tuple[SubPortWish, ...]


class RemoveSubPorts(Command, frozen=True, kw_only=True):
    trunk_id: str
    port_ids: tuple[str, ...]


# The results: Create…, Update…, AddSubPorts, RemoveSubPorts   a tuple of Trunk; DeleteTrunk   ()
