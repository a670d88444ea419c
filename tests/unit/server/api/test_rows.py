"""A list shows of each resource what `show` shows, to administrators and to others."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from netwright.model.resources import (
    AddressPair,
    Binding,
    FixedIp,
    HostRoute,
    Network,
    NetworkType,
    Pool,
    Port,
    Segment,
    Subnet,
    Value,
    VifType,
    VnicType,
)
from netwright.model.states import API_STATUS, BindingState
from netwright.server.api.v2.listing import project
from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import moment, rows
from netwright.server.api.v2.subnets import Subnets
from netwright.server.commands import Caller

CALLERS = [Caller(project_id="p", is_admin=True), Caller(project_id="p")]
AT = 1_767_225_599.999

FLAT = Segment(network_type=NetworkType.FLAT, physical_network='é"\n')
NETWORK = Network(
    id="n", project_id="p", segment=FLAT,
    name='"quoted" \\ ☃', subnets=("s",), shared=True, revision_number=7, created_at=0.0,
    updated_at=AT,
)  # fmt: skip
VXLAN = replace(NETWORK, segment=Segment(network_type=NetworkType.VXLAN, segmentation_id=5))
SUBNET = Subnet(
    id="s", network_id="n", project_id="p", cidr="10.0.0.0/24", ip_version=4, gateway_ip=None,
    allocation_pools=(Pool(start="10.0.0.2", end="10.0.0.9"),), created_at=AT, updated_at=AT,
    host_routes=(HostRoute(destination="0.0.0.0/0", nexthop="10.0.0.1"),),
)  # fmt: skip
PORT = Port(
    id="a", project_id="p", network_id="n", mac_address="02:00:00:00:00:01", state_since=AT,
    created_at=AT, updated_at=AT,
)  # fmt: skip


def binding(host: str, *, active: bool, **more: Any) -> Binding:
    return Binding(
        host=host, generation=1, active=active, state=BindingState.UP, since=AT,
        vif_type=VifType.OVS, **more,
    )  # fmt: skip


PORTS = [
    PORT,
    *(replace(PORT, state=state) for state in API_STATUS),
    replace(
        PORT,
        fixed_ips=(FixedIp(subnet_id="s", ip_address="10.0.0.2"),),
        allowed_address_pairs=(AddressPair(ip_address="10.0.0.0/8", mac_address="02::"),),
        profile={"binding:host_id": "x", "nested": [{"bindings": None}]},
        vnic_type=VnicType.BAREMETAL,
        device_id="d",
        bindings=(
            binding("h0", active=False),
            binding("h1", active=True, vif_details={"bridge_name": "br-int", "port_filter": True}),
        ),
    ),
    replace(PORT, bindings=(binding("h0", active=False),)),
]  # fmt: skip
CASES = [
    *((Networks(), value) for value in (NETWORK, VXLAN)),
    (Subnets(), SUBNET),
    (Subnets(), replace(SUBNET, gateway_ip="10.0.0.1")),
    *((Ports(), value) for value in PORTS),
]


def listed(
    resource: Resource[Any, Any, Any], caller: Caller, value: Value, fields: frozenset[str]
) -> Any:
    how = resource.rows(caller, fields)
    row = msgspec.json.decode(msgspec.json.encode(value).decode(), type=how.type)
    (shown,) = msgspec.json.decode(msgspec.json.encode(how.show([row])))
    return shown


@pytest.mark.parametrize("caller", CALLERS, ids=["admin", "member"])
@pytest.mark.parametrize(("resource", "value"), CASES)
def test_a_row_is_what_the_view_shows(
    resource: Resource[Any, Any, Any], value: Any, caller: Caller
) -> None:
    view = msgspec.json.decode(msgspec.json.encode(resource.view(caller, value)))
    assert listed(resource, caller, value, frozenset()) == view
    for name in view:
        fields = frozenset({name, "id", "no-attribute"})
        assert listed(resource, caller, value, fields) == {key: view[key] for key in {name, "id"}}
    assert listed(resource, caller, value, frozenset({"no-attribute"})) == {}


def test_what_others_may_not_see_they_do_not_get_by_asking() -> None:
    wanted = frozenset({"id", "binding:host_id", "binding:profile"})
    assert listed(Ports(), CALLERS[1], PORTS[-1], wanted) == {"id": "a"}


def test_nothing_is_read_but_what_is_shown() -> None:
    rows_of = Ports().rows(CALLERS[0], frozenset({"id", "tenant_id", "created_at"}))
    assert set(rows_of.type.__struct_fields__) == {"id", "project_id", "created_at"}
    whole = Ports().rows(CALLERS[1], frozenset())
    assert not {"bindings", "profile"} & set(whole.type.__struct_fields__)


def test_a_body_from_before_an_attribute_was_there_shows_its_default() -> None:
    how = rows(Port, {"created_at": moment("created_at")}, ["id", "name", "fixed_ips"]).of("")
    row = msgspec.json.decode(b'{"id":"a"}', type=how.type)
    shown = msgspec.json.encode(how.show([row]))
    assert msgspec.json.decode(shown) == [{"id": "a", "name": "", "fixed_ips": []}]


def test_a_resource_without_a_table_of_rows_goes_by_its_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Ports, "shown", None)
    for fields in (frozenset[str](), frozenset({"id", "status"})):
        expected = msgspec.json.encode(project(Ports().view(CALLERS[1], PORT), fields))
        assert listed(Ports(), CALLERS[1], PORT, fields) == msgspec.json.decode(expected)
