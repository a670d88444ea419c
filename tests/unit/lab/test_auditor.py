"""The auditor of containers finds each kind of fault, and none where there is none."""

import sqlite3
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from tests.lab import audited
from tests.lab.audited import Allocation, Container, Device, Link, Port, Seen, Source
from tests.lab.auditor import DUPLICATED, FREED, LEAKED, UNREAD, faults
from tests.lab.leaves import Drop, Heard, Led, SeenLeaves, Vni

MAC, FOUR, SIX = "fa:16:3e:00:00:01", "10.0.0.5", "fd00::5"
A = Container("a", "h1", "ns-a", MAC, frozenset({FOUR, SIX}))
PORT = Port("p1", "a", "h1", "ACTIVE", MAC, "n1")
PAIR = frozenset({"l1", "l2"})
LEAVES = SeenLeaves(
    of_host={"h1": PAIR, "h2": PAIR, "h3": frozenset({"l3"})},
    led=frozenset(Led(leaf, "h1", 11, 501) for leaf in PAIR),
    vnis=frozenset(
        Vni(leaf, 501, where) for leaf in PAIR for where in ("the kernel", "zebra", "bgpd")
    ),
    heard=frozenset({Heard("l1", "h1", 501, MAC)}),
)
WHOLE = Seen(
    ports=(PORT,),
    port_ids=frozenset({"p1", "vm"}),
    allocations=(
        Allocation(FOUR, "p1"),
        Allocation(SIX, "p1"),
        Allocation("10.0.0.9", None),
        Allocation("10.0.0.8", "vm"),
    ),
    devices=(Device("h1", "nwcp1", "p1", "a"),),
    numbers={("h1", 1): "patch", ("h1", 2): "nwcp1", ("h1", 3): "tapvm"},
    links=frozenset({Link("h1", "nwcp1", "a")}),
    sources=frozenset(
        {
            Source("h1", 2, MAC, ""),
            Source("h1", 2, MAC, FOUR),
            Source("h1", 2, MAC, SIX),
            Source("h1", 3, "fa:16:3e:00:00:08", "10.0.0.8"),
        }
    ),
    records=frozenset({("h1", "a")}),
    inside={"ns-a": frozenset({FOUR, SIX})},
    macs={"ns-a": frozenset({MAC})},
    leaves=LEAVES,
    vnis={"n1": 501, "n2": 502},
    vlans={("h1", 501): 11},
)
Change = Callable[[Seen], Seen]


def test_a_whole_world_has_no_fault() -> None:
    assert faults(WHOLE, [A]) == []
    assert faults(WHOLE, [A], settled=False) == []


def at_leaves(**more: Any) -> Change:
    """More of what is read of leaves; a set is joined to what is there."""
    return lambda seen: seen._replace(
        leaves=seen.leaves._replace(
            **{name: getattr(seen.leaves, name) | each for name, each in more.items()}
        )
    )


def without(name: str, part: Any) -> Change:
    return lambda seen: seen._replace(
        leaves=seen.leaves._replace(**{name: getattr(seen.leaves, name) - {part}})
    )


PLANTED: list[tuple[str, str, Change]] = [
    (
        LEAKED,
        "port p2 of container b",
        lambda seen: seen._replace(ports=(PORT, Port("p2", "b", "h1", "ACTIVE", "m", "n1"))),
    ),
    (
        LEAKED,
        "port p2 of container b",
        lambda seen: seen._replace(ports=(PORT, Port("p2", "b", None, "RELEASING", "m", "n1"))),
    ),
    (
        LEAKED,
        "address 10.0.0.7 of port p9, which is gone",
        lambda seen: seen._replace(
            allocations=(*seen.allocations, Allocation("10.0.0.7", "p9")),
        ),
    ),
    (
        LEAKED,
        "nwcp2 on h1, of container b",
        lambda seen: seen._replace(devices=(*seen.devices, Device("h1", "nwcp2", "p2", "b"))),
    ),
    (
        LEAKED,
        "link nwcp2 on h1",
        lambda seen: seen._replace(links=seen.links | {Link("h1", "nwcp2", "b")}),
    ),
    (
        LEAKED,
        "record of container b on h2",
        lambda seen: seen._replace(records=seen.records | {("h2", "b")}),
    ),
    (
        LEAKED,
        "flow for fa:16:3e:00:00:07 on h1, of no interface",
        lambda seen: seen._replace(
            sources=seen.sources | {Source("h1", 7, "fa:16:3e:00:00:07", "")}
        ),
    ),
    (
        DUPLICATED,
        f"address {FOUR} is in ns-a, ns-b",
        lambda seen: seen._replace(inside={**seen.inside, "ns-b": frozenset({FOUR})}),
    ),
    (
        DUPLICATED,
        f"flows let in {FOUR} from port 2 of h1, port 2 of h2",
        lambda seen: seen._replace(
            numbers={**seen.numbers, ("h2", 2): "nwcp1"},
            sources=seen.sources | {Source("h2", 2, MAC, FOUR)},
        ),
    ),
    (FREED, "the port of container a", lambda seen: seen._replace(ports=())),
    (
        FREED,
        "the port of container a",
        lambda seen: seen._replace(ports=(PORT._replace(state="RELEASING"),)),
    ),
    (
        FREED,
        "port p1 of container a is bound to h2",
        lambda seen: seen._replace(ports=(PORT._replace(host="h2"),)),
    ),
    (
        FREED,
        f"address {FOUR} of container a: it rests",
        lambda seen: seen._replace(
            allocations=(Allocation(FOUR, None), *seen.allocations[1:]),
        ),
    ),
    (
        FREED,
        f"address {FOUR} of container a: held by vm",
        lambda seen: seen._replace(
            allocations=(Allocation(FOUR, "vm"), *seen.allocations[1:]),
        ),
    ),
    (
        FREED,
        f"address {SIX} of container a: nobody holds it",
        lambda seen: seen._replace(allocations=seen.allocations[:1]),
    ),
    (FREED, f"container a has no {SIX} inside", lambda seen: seen._replace(inside={})),
    (FREED, f"container a has no interface with {MAC}", lambda seen: seen._replace(macs={})),
    (FREED, "container a is not plugged", lambda seen: seen._replace(devices=())),
    (FREED, "container a has no nwcp1 on h1", lambda seen: seen._replace(links=frozenset())),
    (
        FREED,
        f"no flow lets in {FOUR} from container a",
        lambda seen: seen._replace(sources=seen.sources - {Source("h1", 2, MAC, FOUR)}),
    ),
    (
        LEAKED,
        "l1 leads VLAN 12 of h1 to VNI 502",
        at_leaves(led={Led("l1", "h1", 12, 502)}),
    ),
    (
        LEAKED,
        "l1 leads VLAN 12 of h1 to VNI 0",
        at_leaves(led={Led("l1", "h1", 12, 0)}),
    ),
    (
        LEAKED,
        "l1 leads VLAN 11 of h2 to VNI 501",
        at_leaves(led={Led("l1", "h2", 11, 501)}),
    ),
    (
        LEAKED,
        "VNI 501 on l3, as zebra has it",
        at_leaves(vnis={Vni("l3", 501, "zebra")}),
    ),
    (
        LEAKED,
        "l1 drops fa:16:3e:00:00:01 from h2",
        at_leaves(drops={Drop("l1", "h2", MAC)}),
    ),
    (LEAKED, "br9 on l1, which belongs to nothing", at_leaves(loose={("l1", "br9")})),
    (
        LEAKED,
        "attachment of VNI 502 on h3",
        lambda seen: seen._replace(vlans={**seen.vlans, ("h3", 502): 12}),
    ),
    (
        LEAKED,
        "fence of port p1 on h2",
        lambda seen: seen._replace(fences=frozenset({("h2", "p1")})),
    ),
    (
        DUPLICATED,
        "l1 leads VLAN 11 of h1 to VNI 501, not VLAN 13",
        lambda seen: seen._replace(vlans={("h1", 501): 13}),
    ),
    (
        DUPLICATED,
        f"MAC {MAC} of VNI 501 is behind h1, h3",
        at_leaves(heard={Heard("l3", "h3", 501, MAC)}),
    ),
    (
        DUPLICATED,
        f"MAC {MAC} of VNI 501 is behind h2; container a is on h1",
        at_leaves(heard={Heard("l2", "h2", 501, MAC)}),
    ),
    (
        FREED,
        "l2 leads no VLAN of h1 to VNI 501, where container a is",
        without("led", Led("l2", "h1", 11, 501)),
    ),
    (UNREAD, "l2: it boots", at_leaves(unread={("l2", "it boots")})),
]


@pytest.mark.parametrize(("kind", "what", "plant"), PLANTED, ids=[each[1] for each in PLANTED])
def test_each_fault_is_found(kind: str, what: str, plant: Change) -> None:
    assert (kind, what) in faults(plant(WHOLE), [A])


def test_an_address_that_two_were_given_is_found() -> None:
    twice = f"address {FOUR} was given to a, b"
    assert (DUPLICATED, twice) in faults(WHOLE, [A, A._replace(id="b")], settled=False)


TWICE = WHOLE._replace(
    numbers={**WHOLE.numbers, ("h2", 2): "nwcp1"},
    sources=WHOLE.sources | {Source("h2", 2, MAC, FOUR)},
    inside={**WHOLE.inside, "ns-old": frozenset({FOUR, SIX})},
)


@pytest.mark.parametrize(
    ("silence", "is_silenced"),
    [
        ({"drops": {Drop("l1", "h2", MAC), Drop("l2", "h2", MAC)}}, True),
        ({"drops": {Drop("l1", "h2", MAC)}, "shut": {("l2", "h2")}}, True),
        ({"drops": {Drop("l1", "h2", MAC)}}, False),
        ({"drops": {Drop("l1", "h3", MAC), Drop("l2", "h3", MAC)}}, False),
    ],
)
def test_one_that_was_left_behind_is_no_fault_while_each_leaf_silences_it(
    silence: dict[str, Any], *, is_silenced: bool
) -> None:
    seen = at_leaves(**silence)(TWICE)
    found = faults(seen, [A], settled=False, left_behind={"ns-old"})
    assert (found == []) is is_silenced
    assert (DUPLICATED, f"address {FOUR} is in ns-a, ns-old") in faults(seen, [A], settled=False)


def test_what_a_dead_container_leaves_is_leaked_only_once_all_is_settled() -> None:
    assert faults(WHOLE, [], settled=False) == []
    assert {fault.kind for fault in faults(WHOLE, [])} == {LEAKED}


def test_a_kept_port_rests() -> None:
    kept = PORT._replace(id="p2", container_id="b", host=None, state="ALLOCATED")
    assert faults(WHOLE._replace(ports=(PORT, kept)), [A]) == []


def test_flows_are_read_as_ovs_ofctl_prints_them() -> None:
    said = """
 cookie=0x4e, table=0, priority=100,in_port=2,dl_src=fa:16:3e:00:00:01 actions=goto_table:10
 cookie=0x4e, table=10, priority=50,arp,in_port=2,dl_src=fa:16:3e:00:00:01,arp_spa=10.0.0.5
 cookie=0x4e, table=10, priority=50,arp,in_port=2,dl_src=fa:16:3e:00:00:01,arp_spa=0.0.0.0
 cookie=0x4e, table=10, priority=50,ipv6,in_port=2,dl_src=fa:16:3e:00:00:01,ipv6_src=fd00::5
 cookie=0x4e, table=0, priority=30,in_port=1,dl_vlan=101 actions=goto_table:30
"""
    assert set(audited.sources("h1", said)) == {
        Source("h1", 2, MAC, ""),
        Source("h1", 2, MAC, FOUR),
        Source("h1", 2, MAC, SIX),
    }


def test_the_database_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "create table port (id, device_id, host, state, mac_address, network_id, device_owner);"
        "create table allocation (address blob, port_id);"
        "create table network (id, network_type, segmentation_id);"
        "create table attachment (network_id, host, body);"
        "create table host (name, body);"
        "insert into port values ('vm', 'x', 'h1', 'ACTIVE', 'm', 'n1', 'compute:nova');"
        "insert into network values ('n1', 'vxlan', 501), ('n3', 'vlan', 12);"
        "insert into attachment values ('n1', 'h1', '{\"vlan\": 11}');"
        "insert into host values ('h1', '{\"port_fences\": []}'),"
        ' (\'h2\', \'{"port_fences": [{"port_id": "p1"}]}\');'
    )
    connection.execute(
        "insert into port values ('p1', 'a', 'h1', 'ACTIVE', ?, 'n1', ?)",
        (MAC, audited.CONTAINER_OWNER),
    )
    for address, port_id in ((FOUR, "p1"), (SIX, None)):
        key = IPv6Address(address if ":" in address else f"::ffff:{address}").packed
        connection.execute("insert into allocation values (?, ?)", (key, port_id))
    connection.commit()
    connection.close()
    seen = audited.read_database(path)
    assert seen.ports == (PORT,)
    assert seen.port_ids == {"p1", "vm"}
    assert set(seen.allocations) == {Allocation(FOUR, "p1"), Allocation(SIX, None)}
    assert seen.vnis == {"n1": 501}
    assert seen.vlans == {("h1", 501): 11}
    assert seen.fences == {("h2", "p1")}
