"""What each command about routers and floating IPs must have loaded (`needs`)."""

from msgspec import UNSET

from netwright.model.routing import FloatingIp, Router
from netwright.server.floating.holding import floating_draft, gateway_draft
from netwright.server.needs import InterfaceWish, Needs, need_port
from netwright.server.routing_commands import (
    AddInterface,
    ChangeRoutes,
    CreateFloatingIps,
    CreateRouters,
    DeleteFloatingIp,
    DeleteRouter,
    RemoveInterface,
    UpdateFloatingIp,
    UpdateRouter,
)


def create_routers(needs: Needs, command: CreateRouters) -> None:
    needs.projects.update(draft.project_id for draft in command.drafts)
    needs.plain[Router].update(draft.id for draft in command.drafts if draft.is_chosen)
    for draft in command.drafts:
        needs.inventory |= bool(draft.availability_zone_hints)
        if draft.gateway is not None:
            need_port(needs, gateway_draft(draft.id, draft.gateway))


def update_router(needs: Needs, command: UpdateRouter) -> None:
    needs.plain[Router].add(command.id)
    if command.gateway is UNSET:
        return
    _gateway_goes(needs, command.id)
    if command.gateway is not None:
        needs.transit = True
        need_port(needs, gateway_draft(command.id, command.gateway))


def delete_router(needs: Needs, command: DeleteRouter) -> None:
    needs.plain[Router].add(command.id)
    _gateway_goes(needs, command.id)


def _gateway_goes(needs: Needs, router_id: str) -> None:
    needs.changed_gateways.add(router_id)
    needs.floating_routers.add(router_id)


def change_routes(needs: Needs, command: ChangeRoutes) -> None:
    needs.plain[Router].add(command.router_id)


def create_floating(needs: Needs, command: CreateFloatingIps) -> None:
    needs.plain[FloatingIp].update(draft.id for draft in command.drafts if draft.is_chosen)
    for draft in command.drafts:
        needs.projects.add(draft.project_id)
        need_port(needs, floating_draft(draft))
        if draft.port_id is not None:
            _floating_target(needs, draft.port_id)


def update_floating(needs: Needs, command: UpdateFloatingIp) -> None:
    needs.plain[FloatingIp].add(command.id)
    if isinstance(command.port_id, str):
        _floating_target(needs, command.port_id)


def _floating_target(needs: Needs, port_id: str) -> None:
    needs.ports.add(port_id)
    needs.floating_ports.add(port_id)
    needs.floating_targets.add(port_id)
    needs.inventory = True


def delete_floating(needs: Needs, command: DeleteFloatingIp) -> None:
    needs.plain[FloatingIp].add(command.id)
    needs.deleted_floating.add(command.id)
    needs.deletes = True


def add_interface(needs: Needs, command: AddInterface) -> None:
    needs.plain[Router].add(command.router_id)
    needs.transit = True
    if command.port_id is not None:
        needs.ports.add(command.port_id)
    elif command.subnet_id is not None:
        wish = InterfaceWish(command.router_id, command.subnet_id, command.new_port_id)
        needs.interfaces.append(wish)


def remove_interface(needs: Needs, command: RemoveInterface) -> None:
    needs.plain[Router].add(command.router_id)
    needs.floating_routers.add(command.router_id)
    if command.port_id is not None:
        needs.ports.add(command.port_id)
    elif command.subnet_id is not None:
        needs.interfaces.append(InterfaceWish(command.router_id, command.subnet_id, None))
