"""What the Networking API's filters mean in the tables."""

from collections.abc import Callable

from sqlalchemy import Boolean, Integer, Table, and_, false, or_, select
from sqlalchemy.sql.elements import ColumnElement

from netwright.ipam.addresses import from_text, to_key
from netwright.model.errors import HTTPBadRequest, InvalidInput
from netwright.server.store import schema

_Condition = ColumnElement[bool]

_COLUMNS = {
    "tenant_id": "project_id",
    "provider:network_type": "network_type",
    "provider:physical_network": "physical_network",
    "provider:segmentation_id": "segmentation_id",
    "binding:host_id": "host",
    "binding:vnic_type": "vnic_type",
    "binding:vif_type": "vif_type",
}
_NEVER = frozenset({"body", "event_seq", "segment_key", "created_at", "updated_at"})
# What a filter asks for as "", an unbound port's host for one, is NULL here.
_EMPTY_IS_NULL = frozenset({"host", "gateway_ip", "subnetpool_id", "address_scope_id"})
_TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})


def condition(table: Table, attribute: str, values: tuple[str, ...]) -> _Condition:
    """The rows whose attribute is one of the values. Raises HTTPBadRequest when it is no filter."""
    special = _SPECIAL.get((table.name, attribute))
    if special is not None:
        return special(values)
    name = _COLUMNS.get(attribute, attribute)
    column = table.c.get(name)
    if column is None or name in _NEVER:
        raise HTTPBadRequest(
            f"[{attribute!r}] is invalid attribute for filtering",
            next=f"a {table.name} list can be filtered by its own attributes",
        )
    if isinstance(column.type, Boolean):
        return column.in_([value.lower() in _TRUE for value in values])
    if isinstance(column.type, Integer):
        numbers = [_integer(attribute, value) for value in values]
        return column.in_([number for number in numbers if -(2**31) <= number < 2**31])
    if name == "mac_address":
        return column.in_([value.lower() for value in values])
    if name in _EMPTY_IS_NULL:
        wanted = [value for value in values if value]
        absent = column.is_(None) if "" in values else false()
        return or_(column.in_(wanted), absent)
    return column.in_(values)


def _integer(attribute: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise InvalidInput(f"Invalid input for {attribute}. Reason: '{value}' is not an integer.")
    return number


def _fixed_ips(values: tuple[str, ...]) -> _Condition:
    """Ports with an address that is any of the `ip_address`es in any of the `subnet_id`s named."""
    table = schema.allocation
    subnets, addresses = [], []
    for value in values:
        key, _, wanted = value.partition("=")
        if key in {"subnet_id", "subnet"}:
            subnets.append(wanted)
        elif key == "ip_address":
            addresses.append(to_key(from_text(wanted)))
        else:
            raise InvalidInput(
                f"Invalid input for fixed_ips. Reason: '{value}' is neither subnet_id=ID nor "
                "ip_address=ADDRESS."
            )
    wanted_rows = [table.c.port_id.isnot(None)]
    if subnets:
        wanted_rows.append(table.c.subnet_id.in_(subnets))
    if addresses:
        wanted_rows.append(table.c.address.in_(addresses))
    return schema.port.c.id.in_(select(table.c.port_id).where(and_(*wanted_rows)))


def _in_shared(values: tuple[str, ...]) -> _Condition:
    """Subnets are as shared as their networks."""
    wanted = condition(schema.network, "shared", values)
    return schema.subnet.c.network_id.in_(select(schema.network.c.id).where(wanted))


_SPECIAL: dict[tuple[str, str], Callable[[tuple[str, ...]], _Condition]] = {
    ("port", "fixed_ips"): _fixed_ips,
    ("subnet", "shared"): _in_shared,
}
