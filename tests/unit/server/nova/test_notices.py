"""What Nova is told of a port's changes: the whole table, then ports."""

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from netwright.model.resources import Binding, FixedIp, Port, VifType
from netwright.model.states import BindingState, PortState
from netwright.server.nova.notices import (
    TOLD,
    Name,
    Notice,
    Status,
    Topic,
    View,
    instance_of,
    of_ports,
)

A = "11111111-2222-4333-8444-555555555555"
B = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
T = 1_000.0

PLUGGED = "network-vif-plugged completed"
FAILED = "network-vif-plugged failed"
UNPLUGGED = "network-vif-unplugged completed"
DELETED = "network-vif-deleted completed"
CHANGED = "network-changed completed"

# Rows: how the instance saw the port before; columns: how it sees it now.
_WHOLE = """
            strange    DOWN       BUILD   ACTIVE   ERROR   gone
strange     -          -          -       plugged  failed  -
DOWN        -          -          -       plugged  failed  deleted
BUILD       -          -          -       plugged  failed  deleted
ACTIVE      unplugged  unplugged  -       -        failed  deleted
ERROR       -          -          -       plugged  -       deleted
gone        -          -          -       -        -       -
"""
_WORDS = {
    (Name.PLUGGED, Status.COMPLETED): "plugged",
    (Name.PLUGGED, Status.FAILED): "failed",
    (Name.UNPLUGGED, Status.COMPLETED): "unplugged",
    (Name.DELETED, Status.COMPLETED): "deleted",
    None: "-",
}


def test_the_table_is_whole() -> None:
    head, *rows = _WHOLE.strip().splitlines()
    columns = [View(name) for name in head.split()]
    said = {
        (View(before), now): word
        for before, *words in map(str.split, rows)
        for now, word in zip(columns, words, strict=True)
    }
    changes = set(product(View, View))
    assert said.keys() == changes
    assert {key: _WORDS[TOLD.get(key)] for key in changes} == said


def port(state: PortState = PortState.ALLOCATED, host: str = "", **given: Any) -> Port:
    binding = Binding(
        host=host, generation=1, active=True, state=BindingState.UP, since=T, vif_type=VifType.OVS
    )
    made = Port(
        id="x",
        project_id="p",
        network_id="n",
        mac_address="fa:16:3e:00:00:01",
        fixed_ips=(FixedIp(subnet_id="s", ip_address="10.0.0.2"),),
        device_id=A,
        device_owner="compute:nova",
        bindings=(binding,) if host else (),
        state=state,
        state_since=T,
        created_at=T,
        updated_at=T,
    )
    return replace(made, **given)


def told(before: Port | None, now: Port | None) -> list[str]:
    return [f"{each.name} {each.status}" for each in of_ports([(before, now)])]


s = PortState


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (s.ALLOCATED, s.WIRING, []),
        (s.WIRING, s.ACTIVE, [PLUGGED]),
        (s.MOVING, s.ACTIVE, [PLUGGED]),
        (s.DEGRADED, s.ACTIVE, [PLUGGED]),
        (s.ERROR, s.ACTIVE, [PLUGGED]),
        (s.WIRING, s.ERROR, [FAILED]),
        (s.ACTIVE, s.ERROR, [FAILED]),
        (s.ACTIVE, s.DEGRADED, [UNPLUGGED]),
        (s.ACTIVE, s.ALLOCATED, [UNPLUGGED]),
        (s.ACTIVE, s.WIRING, []),  # moved: it is told of when it has arrived
        (s.DEGRADED, s.ALLOCATED, []),
        (s.WIRING, s.ALLOCATED, []),
        (s.ACTIVE, s.RELEASING, [DELETED]),
        (s.ALLOCATED, s.RELEASING, [DELETED]),
        (s.RELEASING, None, []),
        (s.ACTIVE, None, [DELETED]),
        (s.ACTIVE, s.ACTIVE, []),
    ],
)
def test_states(before: PortState, now: PortState | None, expected: list[str]) -> None:
    assert told(port(before), None if now is None else port(now)) == expected


def test_a_new_port_is_told_of_only_when_it_is_active_or_failed_at_once() -> None:
    assert told(None, port()) == []
    assert told(None, port(s.WIRING)) == []
    assert told(None, port(s.ACTIVE)) == [PLUGGED]
    assert told(None, port(s.ERROR)) == [FAILED]
    assert told(None, None) == []


def test_one_that_was_wired_anew_within_a_batch_is_told_of() -> None:
    was = port(s.ACTIVE, "h1")
    assert told(was, replace(was, name="other")) == []
    assert told(was, port(s.ACTIVE, "h2")) == [PLUGGED]
    assert told(was, replace(was, state_since=T + 1)) == [PLUGGED]


def test_unbinding_as_nova_does_tells_the_instance_that_it_was() -> None:
    bare = port(s.ALLOCATED, device_id="", device_owner="")
    (notice,) = of_ports([(port(s.ACTIVE, "h1"), bare)])
    assert notice == Notice(port_id="x", server_uuid=A, name=Name.UNPLUGGED)
    assert told(port(s.WIRING, "h1"), bare) == []
    assert told(bare, None) == []


def test_a_port_that_changes_hands() -> None:
    notices = list(of_ports([(port(s.ACTIVE, "h1"), port(s.ACTIVE, "h1", device_id=B))]))
    assert [(each.server_uuid, each.name) for each in notices] == [
        (A, Name.UNPLUGGED),
        (B, Name.PLUGGED),
    ]


def test_addresses() -> None:
    was = port(s.ACTIVE, "h1")
    more = (*was.fixed_ips, FixedIp(subnet_id="s", ip_address="10.0.0.3"))
    assert told(was, replace(was, fixed_ips=more)) == [CHANGED]
    assert told(was, replace(was, fixed_ips=())) == [CHANGED]
    assert told(was, replace(was, mac_address="fa:16:3e:00:00:02")) == [CHANGED]
    assert told(was, replace(was, description="x", port_security_enabled=False)) == []
    assert told(replace(was, fixed_ips=more), replace(was, fixed_ips=more[::-1])) == []
    turned = replace(was, fixed_ips=more[::-1], mac_address="fa:16:3e:00:00:02")
    assert told(replace(was, fixed_ips=more), turned) == [CHANGED]
    both = replace(was, fixed_ips=more, state=s.DEGRADED)
    assert told(was, both) == [UNPLUGGED, CHANGED]
    assert told(was, replace(was, fixed_ips=more, state=s.RELEASING)) == [DELETED]
    topics = {each.topic for each in of_ports([(was, both)])}
    assert topics == set(Topic)


@pytest.mark.parametrize(
    ("owner", "device", "expected"),
    [
        ("compute:nova", A, A),
        ("compute:", A.replace("-", "").upper(), A.replace("-", "").upper()),
        ("compute:nova", "", None),
        ("compute:nova", "web-1", None),
        ("compute:nova", f"{A}\n", None),
        ("compute:nova", f"{{{A}}}", None),
        ("network:dhcp", A, None),
        ("", A, None),
        ("baremetal:none", A, None),
    ],
)
def test_whose_instance_it_is(owner: str, device: str, expected: str | None) -> None:
    assert instance_of(port(device_owner=owner, device_id=device)) == expected
    if expected is None:
        other = {"device_owner": owner, "device_id": device}
        assert told(port(s.WIRING, **other), port(s.ACTIVE, **other)) == []
