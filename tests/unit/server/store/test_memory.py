"""What is remembered from batch to batch is what is stored: whoever wrote it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doubles.places import SqlitePlace
from tests.doubles.store import ADMIN, Store, create, delete, ipv4_subnet
from tests.unit.server.test_several_processes import create as create_at
from tests.unit.server.test_several_processes import two_cores

from netwright.model.errors import NetwrightError
from netwright.model.resources import Port
from netwright.model.wire import Kind
from netwright.server.commands import CreateSubnets, DeleteNetwork, SubnetDraft, UpdateNetwork
from netwright.server.store import memory
from netwright.server.store.event_rows import EventRow

SIX = SubnetDraft(id="six", project_id="p", network_id="net", cidr="fd00::/64", ip_version=6)
UNPROTECTED = UpdateNetwork(caller=ADMIN, id="net", port_security_enabled=False)


@pytest.fixture
def store() -> Iterator[Store]:
    one = Store()
    one.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"))
    yield one
    one.close()


def selects(store: Store, port_id: str) -> list[str]:
    """The tables that making a port reads."""
    assert isinstance(store.place, SqlitePlace)
    with store.place.listening() as said:
        store.do(create(port_id))
    return [each.split(" FROM ")[1].split()[0] for each in said if each.startswith("SELECT")]


def test_a_network_is_read_once(store: Store) -> None:
    assert {"network", "subnet"} <= set(selects(store, "p1"))
    assert not {"network", "subnet"} & set(selects(store, "p2"))


def test_what_a_batch_changes_is_read_again(store: Store) -> None:
    store.do(create("p1"))
    store.do(CreateSubnets(caller=ADMIN, drafts=(SIX,)))
    (port,) = store.do(create("p2"))
    assert len(port.fixed_ips) == 2
    store.do(UNPROTECTED)
    (port,) = store.do(create("p3"))
    assert not port.port_security_enabled


def test_a_deleted_network_is_forgotten(store: Store) -> None:
    store.do(create("p1"))
    store.do(delete("p1"))
    store.do(DeleteNetwork(caller=ADMIN, id="net"))
    with pytest.raises(NetwrightError, match="net"):
        store.do(create("p2"))


def others(store: Store, kind: str, id_: str, body: str | None) -> None:
    """Another process's event."""
    store.run(
        "INSERT INTO event (seq, kind, id, hosts, left_hosts, body) "
        "SELECT max(seq) + 1, $1, $2, NULL, '', $3 FROM event",
        kind,
        id_,
        body,
    )


@pytest.mark.parametrize(
    ("kind", "id_", "body", "is_read"),
    [
        (Kind.PORT, "q", "{}", False),
        (Kind.HOST, "h", "{}", False),
        (Kind.NETWORK, "another", "{}", False),
        (Kind.NETWORK, "net", "{}", True),
        (Kind.SUBNET, "new", "net", True),
        (Kind.SUBNET, "new", "another", False),
        (Kind.SUBNET, "gone", None, True),
        ("of a newer server", "n", "{}", False),
    ],
)
def test_a_network_is_read_again_after_an_event_that_may_be_of_it(
    store: Store, kind: str, id_: str, body: str | None, *, is_read: bool
) -> None:
    store.do(create("p1"))
    if body in ("net", "another"):  # a subnet of this network
        sql = "SELECT body FROM subnet"
        ((stored,),) = store.rows(sql)
        body = stored.replace('"net"', f'"{body}"')
    others(store, kind, id_, body)
    assert ("network" in selects(store, "p2")) is is_read


def test_who_is_far_behind_reads_all_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_BEHIND_MAX", 3)
    store.do(create("p1"))
    for each in range(3):
        others(store, Kind.PORT, f"q{each}", "{}")
    assert "network" in selects(store, "p2")
    assert store.rows("SELECT max(seq) FROM event") == [(store.events[-1].seq,)]


def test_events_that_were_read_elsewhere_are_not_read_again(store: Store) -> None:
    store.do(create("p1"))
    for each in range(3):
        others(store, Kind.PORT, f"q{each}", "{}")
    seq = store.memory.seq
    rows = [event(seq + n) for n in (1, 2, 3)]
    store.memory.follow(rows[1:])  # one is missing
    assert store.memory.seq == seq
    store.memory.follow(rows[:2])
    store.memory.follow(rows[:1])  # again
    assert store.memory.seq == seq + 2
    store.memory.follow([rows[2]._replace(kind=Kind.NETWORK, id="net")])
    assert "network" in selects(store, "p2")
    assert store.memory.seq == seq + 4


def event(seq: int) -> EventRow:
    return EventRow(seq, Kind.PORT, "q", frozenset(), frozenset(), b"{}")


async def test_what_another_process_changes_is_read_again(tmp_path: Path) -> None:
    first, second = await two_cores(tmp_path / "netwright.db", "10.0.0.0/24")
    try:
        assert isinstance(await create_at(first, "a"), Port)
        await second.commit(UNPROTECTED)
        made = await create_at(first, "b")
        assert isinstance(made, Port)
        assert not made.port_security_enabled
    finally:
        await first.close()
        await second.close()
