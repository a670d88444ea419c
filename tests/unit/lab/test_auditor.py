"""The auditor of containers finds each kind of fault, and none where there is none."""

import sqlite3
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from tests.lab import auditor
from tests.lab.auditor import (
    DUPLICATED,
    FREED,
    LEAKED,
    Allocation,
    Container,
    Device,
    Link,
    Port,
    Seen,
    Source,
    faults,
)

MAC, FOUR, SIX = "fa:16:3e:00:00:01", "10.0.0.5", "fd00::5"
A = Container("a", "h1", "ns-a", MAC, frozenset({FOUR, SIX}))
PORT = Port("p1", "a", "h1", "ACTIVE", MAC)
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
)
Change = Callable[[Seen], Seen]


def test_a_whole_world_has_no_fault() -> None:
    assert faults(WHOLE, [A]) == []
    assert faults(WHOLE, [A], settled=False) == []


PLANTED: list[tuple[str, str, Change]] = [
    (
        LEAKED,
        "port p2 of container b",
        lambda seen: seen._replace(ports=(PORT, Port("p2", "b", "h1", "ACTIVE", "m"))),
    ),
    (
        LEAKED,
        "port p2 of container b",
        lambda seen: seen._replace(ports=(PORT, Port("p2", "b", None, "RELEASING", "m"))),
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
]


@pytest.mark.parametrize(("kind", "what", "plant"), PLANTED, ids=[each[1] for each in PLANTED])
def test_each_fault_is_found(kind: str, what: str, plant: Change) -> None:
    assert (kind, what) in faults(plant(WHOLE), [A])


def test_an_address_that_two_were_given_is_found() -> None:
    twice = f"address {FOUR} was given to a, b"
    assert (DUPLICATED, twice) in faults(WHOLE, [A, A._replace(id="b")], settled=False)


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
    assert set(auditor.sources("h1", said)) == {
        Source("h1", 2, MAC, ""),
        Source("h1", 2, MAC, FOUR),
        Source("h1", 2, MAC, SIX),
    }


def test_the_database_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "create table port (id, device_id, host, state, mac_address, device_owner);"
        "create table allocation (address blob, port_id);"
        "insert into port values ('vm', 'x', 'h1', 'ACTIVE', 'm', 'compute:nova');"
    )
    connection.execute(
        "insert into port values ('p1', 'a', 'h1', 'ACTIVE', ?, ?)",
        (MAC, auditor.CONTAINER_OWNER),
    )
    for address, port_id in ((FOUR, "p1"), (SIX, None)):
        key = IPv6Address(address if ":" in address else f"::ffff:{address}").packed
        connection.execute("insert into allocation values (?, ?)", (key, port_id))
    connection.commit()
    connection.close()
    seen = auditor.read_database(path)
    assert seen.ports == (PORT,)
    assert seen.port_ids == {"p1", "vm"}
    assert set(seen.allocations) == {Allocation(FOUR, "p1"), Allocation(SIX, None)}
