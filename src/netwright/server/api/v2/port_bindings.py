"""Bindings of a port in the Networking API (`binding-extended`): several hosts, one active.

Administrators' only, as in Neutron. A port that is on no host shows an active binding without one,
as Neutron's does, so that there is always one that is active.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import PortBindingNotFound, PortNotFound
from netwright.model.resources import Binding, Port, VifType, VnicType
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.v2 import few, listing, values
from netwright.server.api.v2.values import Body, ProjectId
from netwright.server.commands import (
    ActivateBinding,
    ChangeBinding,
    Command,
    DeleteBinding,
    PrepareBinding,
)
from netwright.server.ports.preparing import is_asked_for

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"

HostName = Annotated[str, Meta(min_length=1, max_length=255)]


class BindingCreation(Body, frozen=True, kw_only=True):
    """`project_id` may be named, as Neutron lets it be; a binding is its port's project's."""

    host: HostName
    vnic_type: VnicType = VnicType.NORMAL
    profile: dict[str, Any] | UnsetType | None = UNSET
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class BindingChange(Body, frozen=True, kw_only=True):
    """`host` may be sent back as it was shown; a binding stays on its host."""

    host: HostName | UnsetType = UNSET
    vnic_type: VnicType | UnsetType = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET


class BindingCreationBody(Body, frozen=True, kw_only=True):
    binding: BindingCreation


class BindingChangeBody(Body, frozen=True, kw_only=True):
    binding: BindingChange


class BindingView(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    vif_type: VifType
    vif_details: Mapping[str, Any]
    vnic_type: VnicType
    profile: Mapping[str, Any]
    status: str


_ATTRIBUTES = frozenset(BindingView.__struct_encode_fields__)
_CREATION = Shape(BindingCreationBody, wrapped=True, read_only=_ATTRIBUTES)
_CHANGE = Shape(BindingChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True)
_FILTERS = ("host", "vif_type", "vnic_type", "status")
_LISTABLE = listing.Listable(
    collection="bindings",
    filters=dict.fromkeys(_FILTERS, listing.text),
    sort_keys=frozenset(_FILTERS),
)


def routes() -> tuple[Route, ...]:
    many = "/v2.0/ports/{id}/bindings"
    one = f"{many}/{{host}}"
    shown, access, fields = {"binding": BindingView}, Access.ADMIN, Parameter("fields")
    listed = {"bindings": list[BindingView]}
    filters = tuple(Parameter(name, repeated=True) for name in _FILTERS)
    return (
        Route("GET", many, _list, access, "List a port's bindings", response=listed,
              parameters=(*filters, fields)),
        Route("POST", many, _create, access, "Prepare a binding on another host",
              _CREATION.type, shown, statuses=(201,)),
        Route("GET", one, _show, access, "Show a port's binding", response=shown,
              parameters=(fields,)),
        Route("PUT", one, _change, access, "Change a port's binding", _CHANGE.type, shown),
        Route("PUT", f"{one}/activate", _activate, access, "Make a binding the active one",
              response=BindingView),
        Route("DELETE", one, _delete, access, "Delete a port's binding", statuses=(204,)),
    )  # fmt: skip


async def _list(call: Call) -> Reply:
    """A page's marker is a host."""
    path = f"/v2.0/ports/{call.path['id']}/bindings"
    return few.listed(call, _LISTABLE, _views(await _port(call)), "host", path)


async def _create(call: Call) -> Reply:
    listing.refuse_parameters(call.query)
    item = _CREATION.decode(await call.body()).binding
    command = PrepareBinding(
        caller=call.caller,
        port_id=_port_id(call),
        host=item.host,
        vnic_type=item.vnic_type,
        profile=_profile(item.profile),
    )
    return json_reply({"binding": await _done(call, command, item.host)}, 201)


async def _show(call: Call) -> Reply:
    fields = listing.fields_of(call.query)
    view = _view_on(await _port(call), call.path["host"])
    return json_reply({"binding": listing.project(view, fields)})


async def _change(call: Call) -> Reply:
    listing.refuse_parameters(call.query)
    item, host = _CHANGE.decode(await call.body()).binding, call.path["host"]
    if item.host is not UNSET and item.host != host:
        raise invalid("host", f"the binding is on {host}; prepare another one on {item.host}")
    command = ChangeBinding(
        caller=call.caller,
        port_id=_port_id(call),
        host=host,
        vnic_type=item.vnic_type,
        profile=UNSET if item.profile is UNSET else _profile(item.profile),
    )
    return json_reply({"binding": await _done(call, command, host)})


async def _activate(call: Call) -> Reply:
    """The binding itself, not wrapped in its name: so Neutron answers, and its clients read it.

    What they send in the body (nothing, the port's id, the binding) says nothing more.
    """
    listing.refuse_parameters(call.query)
    host = call.path["host"]
    command = ActivateBinding(caller=call.caller, port_id=_port_id(call), host=host)
    return json_reply(await _done(call, command, host))


async def _delete(call: Call) -> Reply:
    listing.refuse_parameters(call.query)
    command = DeleteBinding(caller=call.caller, port_id=_port_id(call), host=call.path["host"])
    await call.service.commit(command)
    return Reply(204)


async def _done(call: Call, command: Command, host: str) -> BindingView:
    (port,) = await call.service.commit(command)
    return _view_on(port, host)


async def _port(call: Call) -> Port:
    port = await call.service.reader.port(_port_id(call))
    if port is None:
        raise _missing(call.path["id"])
    return port


def _port_id(call: Call) -> str:
    id_ = call.path["id"]
    if not values.is_uuid(id_):
        raise _missing(id_)
    return id_


def _missing(id_: str) -> PortNotFound:
    return PortNotFound(f"Port {id_} could not be found.")


def _views(port: Port) -> Iterator[BindingView]:
    if port.active_binding is None:
        yield BindingView(
            host="",
            vif_type=VifType.UNBOUND,
            vif_details={},
            vnic_type=port.vnic_type,
            profile=port.profile,
            status=ACTIVE,
        )
    for binding in port.bindings:
        if is_asked_for(binding):
            yield _view(port, binding)


def _view_on(port: Port, host: str) -> BindingView:
    binding = port.binding_on(host)
    if binding is None or not is_asked_for(binding):
        raise PortBindingNotFound(f"Binding for port {port.id} for host {host} could not be found.")
    return _view(port, binding)


def _view(port: Port, binding: Binding) -> BindingView:
    """The active binding's vNIC type and profile are its port's."""
    own = port if binding.prepared is None else binding.prepared
    return BindingView(
        host=binding.host,
        vif_type=binding.vif_type,
        vif_details=binding.vif_details,
        vnic_type=own.vnic_type,
        profile=own.profile,
        status=ACTIVE if binding.active else INACTIVE,
    )


def _profile(value: dict[str, Any] | UnsetType | None) -> Mapping[str, Any]:
    return values.profile("profile", value) if isinstance(value, dict) else {}
