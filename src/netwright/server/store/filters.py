"""What the Networking API's filters mean in the tables."""

from collections.abc import Callable

from sqlalchemy import Boolean, Integer, Table, and_, false, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from netwright.ipam.addresses import from_text, to_key
from netwright.model.errors import HTTPBadRequest, InvalidInput
from netwright.model.labels import Operator, Requirement, Selector, parse_selector
from netwright.server.store import schema
from netwright.server.store.tags import tag_condition

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
_TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})


def condition(table: Table, attribute: str, values: tuple[str, ...]) -> _Condition:
    """The rows whose attribute is one of the values. Raises HTTPBadRequest when it is no filter."""
    special = _SPECIAL.get((table.name, attribute))
    if special is not None:
        return special(values)
    standard = _standard(table, attribute, values)
    return _of_column(table, attribute, values) if standard is None else standard


def _standard(table: Table, attribute: str, values: tuple[str, ...]) -> _Condition | None:
    """What means the same of every resource."""
    if attribute == "changed_since" and "updated_at" in table.c:
        return and_(*(table.c.updated_at >= float(value) for value in values))
    return tag_condition(table, attribute, values)


def _of_column(table: Table, attribute: str, values: tuple[str, ...]) -> _Condition:
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
    if column.nullable:
        # What is absent is NULL here, and "" for who asks: an unbound port's host.
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


def labels_match(selector: Selector) -> _Condition:
    """The networks whose labels match."""
    return and_(*map(_label_condition, selector.requirements))


def _label_condition(requirement: Requirement) -> _Condition:
    label = schema.network_label
    labelled = select(label.c.network_id).where(label.c.key == requirement.key)
    if requirement.values:
        labelled = labelled.where(label.c.value.in_(requirement.values))
    is_labelled = schema.network.c.id.in_(labelled)
    negated = requirement.operator in {Operator.MISSING, Operator.NOT_IN}
    return ~is_labelled if negated else is_labelled


def _labels(values: tuple[str, ...]) -> _Condition:
    """Networks whose labels match any of the selectors."""
    return or_(*(labels_match(parse_selector(value)) for value in values))


def _in_shared(values: tuple[str, ...]) -> _Condition:
    """Subnets are as shared as their networks."""
    wanted = condition(schema.network, "shared", values)
    return schema.subnet.c.network_id.in_(select(schema.network.c.id).where(wanted))


def _in_groups(values: tuple[str, ...]) -> _Condition:
    """Ports that are in any of the groups."""
    table = schema.membership
    return schema.port.c.id.in_(select(table.c.port_id).where(table.c.group_id.in_(values)))


def _unchanged(values: tuple[str, ...]) -> _Condition:
    """Rules never change, so that their revision is always 0."""
    return true() if "0" in values else false()


def _prefix(values: tuple[str, ...]) -> _Condition:
    """The prefix as it was given; `normalized_cidr` is the one without host bits."""
    return condition(schema.security_group_rule, "shown_prefix", values)


_SPECIAL: dict[tuple[str, str], Callable[[tuple[str, ...]], _Condition]] = {
    ("port", "fixed_ips"): _fixed_ips,
    ("network", "labels"): _labels,
    ("port", "security_groups"): _in_groups,
    ("security_group_rule", "revision_number"): _unchanged,
    ("security_group_rule", "remote_ip_prefix"): _prefix,
    ("subnet", "shared"): _in_shared,
}
