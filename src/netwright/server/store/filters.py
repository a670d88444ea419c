"""What the Networking API's filters mean in the tables.

What clients filter ports by is answered from an index, however many ports there are
(`docs/adr/0016`). Indexes that leave out what is empty are used only when the statement says, in
the index's own words, that nothing empty is wanted (`schema.present`).
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    Select,
    String,
    Table,
    and_,
    any_,
    bindparam,
    exists,
    false,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from netwright.ipam.addresses import Address, from_text, prefixes_of, to_key
from netwright.model.errors import HTTPBadRequest, InvalidInput
from netwright.model.labels import Operator, Requirement, Selector, parse_selector
from netwright.model.resources import ShareAction
from netwright.server.store import schema
from netwright.server.store.tags import tag_condition

_Condition = ColumnElement[bool]

_COLUMNS = {
    "tenant_id": "project_id",
    "provider:network_type": "network_type",
    "router:external": "external",
    "provider:physical_network": "physical_network",
    "provider:segmentation_id": "segmentation_id",
    "binding:vnic_type": "vnic_type",
    "binding:vif_type": "vif_type",
}
_NEVER = frozenset({"body", "event_seq", "segment_key", "created_at", "updated_at"})
_TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})

PAGE = "(of a page)"
READABLE = "(readable)"
"""What a list is limited to besides its filters: to a page's ids, to what a project may see."""

# Conditions that find a few rows by an index, the fewest first: those of one line do it together.
_LEADS: Mapping[str, Sequence[frozenset[str]]] = {
    "network": [
        frozenset(names)
        for names in (
            *({PAGE}, {"id"}, {"provider:segmentation_id"}, {"name"}, {"project_id"}, {READABLE}),
            *({"tags"}, {"tags-any"}, {"router:external"}, {"shared"}),
        )
    ],
    "subnet": [
        frozenset(names)
        for names in (
            *({PAGE}, {"id"}, {"cidr"}, {"name"}, {"network_id"}, {"project_id"}, {READABLE}),
        )
    ],
    "floatingip": [
        frozenset(names)
        for names in (
            *({PAGE}, {"id"}, {"port_id"}, {"floating_ip_address"}, {"fixed_ip_address"}),
            *({"router_id"}, {"tags"}, {"tags-any"}, {"project_id"}, {READABLE}),
            *({"floating_network_id"},),
        )
    ],
    # Each project's default group has the same name.
    "security_group": [
        frozenset(names) for names in ({PAGE}, {"id"}, {"project_id"}, {READABLE}, {"name"})
    ],
    "port": [
        frozenset(names)
        for names in (
            *({PAGE}, {"id"}, {"unique_name"}, {"device_id"}),
            *({"mac_address", "network_id"}, {"mac_address"}, {"fixed_ips"}, {"name"}),
            *({"binding:host_id"}, {"network_id", "device_owner"}, {"network_id"}),
            *({"project_id"}, {READABLE}, {"device_owner"}),
        )
    ],
}


def leading(table: Table, names: AbstractSet[str]) -> AbstractSet[str]:
    """Which of these conditions shall find the rows, so that the others only test them.

    All of them where nothing is known.
    """
    return next((lead for lead in _LEADS.get(table.name, ()) if lead <= names), names)


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
    if column.nullable:
        # What is absent is NULL here, and "" for who asks: an unbound port's host.
        wanted = one_of(column, [value for value in values if value])
        return or_(wanted, column.is_(None)) if "" in values else wanted
    return one_of(column, values)


def one_of(column: Column[Any], values: Sequence[str]) -> _Condition:
    """Rows that have one of these texts in a column. One statement for any number of them."""
    if len(values) == 1:
        wanted = column == values[0]  # databases expect fewer rows of this than of a set
    else:
        wanted = column == any_(bindparam(None, list(values)))
    if "" not in values and column in schema.SPARSE:
        return and_(wanted, schema.present(column))
    return wanted


def _integer(attribute: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise InvalidInput(f"Invalid input for {attribute}. Reason: '{value}' is not an integer.")
    return number


def _mac_address(values: tuple[str, ...]) -> _Condition:
    """In whichever network: MACs are found by network, so a look-up in each of them finds all.

    An index over MACs alone would cost every new port 13 % (`docs/adr/0016`).
    """
    port = schema.port
    wanted = one_of(port.c.mac_address, [value.lower() for value in values])
    return and_(wanted, port.c.network_id.in_(select(schema.network.c.id)))


_PART = "ip_address_substr="


def is_vague(values: tuple[str, ...]) -> bool:
    """Whether a filter finds too much to be begun with: what is empty, parts of addresses."""
    return any(not value or value.startswith(_PART) for value in values)


class has_address_with(ColumnElement[bool]):  # noqa: N801 - reads as a function
    """The ports with a fixed IP whose text has this part."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, part: str) -> None:
        self.part = literal(part, String())


@compiles(has_address_with, "sqlite")
def _in_json(element: has_address_with, compiler: SQLCompiler, **how: Any) -> str:
    part = compiler.process(element.part, **how)
    return (
        "EXISTS (SELECT 1 FROM json_each(port.body, '$.fixed_ips') AS each "  # noqa: S608 - our names
        f"WHERE instr(json_extract(each.value, '$.ip_address'), {part}) > 0)"
    )


@compiles(has_address_with, "postgresql")
def _in_jsonb(element: has_address_with, compiler: SQLCompiler, **how: Any) -> str:
    part = compiler.process(element.part, **how)
    return (
        "EXISTS (SELECT 1 FROM jsonb_array_elements(port.body::jsonb -> 'fixed_ips') AS each "  # noqa: S608 - our names
        f"WHERE position({part} in each.value ->> 'ip_address') > 0)"
    )


def _fixed_ips(values: tuple[str, ...]) -> _Condition:
    """Ports with an address that is any of the `ip_address`es in any of the `subnet_id`s named.

    Parts of addresses (`ip_address_substr`) are looked for in what is found by all else: addresses
    are numbers here, whose text has no index.
    """
    table = schema.allocation
    subnets, addresses = [], []
    parts = [value.partition("=")[2] for value in values if value.startswith(_PART)]
    if parts:
        whole = tuple(value for value in values if not value.startswith(_PART))
        found = or_(*(has_address_with(part) for part in parts))
        return and_(found, _fixed_ips(whole)) if whole else found
    for value in values:
        key, _, wanted = value.partition("=")
        if key in {"subnet_id", "subnet"}:
            subnets.append(wanted)
        elif key == "ip_address":
            addresses.append(from_text(wanted))
        else:
            raise InvalidInput(
                f"Invalid input for fixed_ips. Reason: '{value}' is neither subnet_id=ID nor "
                "ip_address=ADDRESS."
            )
    wanted_rows: list[_Condition] = [table.c.port_id.isnot(None)]
    if subnets:
        wanted_rows.append(one_of(table.c.subnet_id, subnets))
    elif addresses:
        wanted_rows.append(table.c.subnet_id.in_(_subnets_around(addresses)))
    if addresses:
        wanted_rows.append(table.c.address.in_(map(to_key, addresses)))
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


def _subnets_around(addresses: Sequence[Address]) -> Select[Any]:
    """The subnets that could hold these addresses: allocations are found by subnet and address.

    An address is in no more prefixes than it has bits, and subnets are found by theirs.
    """
    prefixes = {prefix for address in addresses for prefix in prefixes_of(address)}
    return select(schema.subnet.c.id).where(one_of(schema.subnet.c.cidr, sorted(prefixes)))


def _on_hosts(values: tuple[str, ...]) -> _Condition:
    """Ports whose active binding is on one of these hosts; "": on none."""
    port, binding = schema.port, schema.binding
    hosts = [value for value in values if value]
    bound = select(binding.c.port_id).where(one_of(binding.c.host, hosts))
    wanted = and_(port.c.id.in_(bound), one_of(port.c.host, hosts))
    return or_(wanted, port.c.host.is_(None)) if "" in values else wanted


def _of_version(values: tuple[str, ...]) -> _Condition:
    """Networks with a subnet of one of these IP versions."""
    subnet = schema.subnet
    theirs = subnet.c.network_id == schema.network.c.id
    return exists().where(theirs, condition(subnet, "ip_version", values))


def _in_groups(values: tuple[str, ...]) -> _Condition:
    """Ports that are in any of the groups."""
    table = schema.membership
    return schema.port.c.id.in_(select(table.c.port_id).where(table.c.group_id.in_(values)))


def _unchanged(values: tuple[str, ...]) -> _Condition:
    """Rules never change, so that their revision is always 0."""
    return true() if "0" in values else false()


def _of_group(values: tuple[str, ...]) -> _Condition:
    """What names an address group names no security group."""
    remote = schema.security_group_rule.c.remote_group_id
    wanted = one_of(remote, [value for value in values if value])
    if "" not in values:
        return wanted
    return or_(wanted, remote.is_(None), remote.in_(select(schema.address_group.c.id)))


def _of_addresses(values: tuple[str, ...]) -> _Condition:
    remote = schema.security_group_rule.c.remote_group_id
    wanted = one_of(remote, [value for value in values if value])
    if "" not in values:
        return wanted
    return or_(wanted, remote.is_(None), ~remote.in_(select(schema.address_group.c.id)))


def _prefix(values: tuple[str, ...]) -> _Condition:
    """The prefix as it was given; `normalized_cidr` is the one without host bits."""
    return condition(schema.security_group_rule, "shown_prefix", values)


def _external(values: tuple[str, ...]) -> _Condition:
    """The column says what is external to all; what is to some has policies that say so."""
    if len({value.lower() in _TRUE for value in values}) > 1:
        return true()
    policy = schema.rbac_policy.c
    some = select(policy.object_id).where(policy.action == ShareAction.AS_EXTERNAL)
    network = schema.network.c
    external = network.id.in_(union_all(select(network.id).where(network.external), some))
    return external if values[0].lower() in _TRUE else ~external


_SPECIAL: dict[tuple[str, str], Callable[[tuple[str, ...]], _Condition]] = {
    ("port", "fixed_ips"): _fixed_ips,
    ("network", "labels"): _labels,
    ("network", "ip_version"): _of_version,
    ("network", "router:external"): _external,
    ("port", "security_groups"): _in_groups,
    ("security_group_rule", "revision_number"): _unchanged,
    ("security_group_rule", "remote_ip_prefix"): _prefix,
    ("default_security_group_rule", "remote_ip_prefix"): lambda values: condition(
        schema.default_security_group_rule, "shown_prefix", values
    ),
    ("security_group_rule", "remote_group_id"): _of_group,
    ("security_group_rule", "remote_address_group_id"): _of_addresses,
    ("port", "mac_address"): _mac_address,
    ("port", "binding:host_id"): _on_hosts,
}
