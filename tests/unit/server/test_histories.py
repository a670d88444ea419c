"""Histories of ports are bounded: by a port's newest entries, and by time after it is gone."""

from collections.abc import Iterator

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, register, update

from netwright.server.commands import Tick
from netwright.server.history import HistoryKept
from netwright.server.store import upkeep

KEPT = HistoryKept(per_port_max=10, after_delete_s=1_000.0)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place, history=KEPT)
    store.make_network()
    store.do(register("h1"))
    yield store
    store.close()


def flap(store: Store, port_id: str, times: int) -> None:
    for n in range(times):
        store.do(update(port_id, admin_state_up=bool(n % 2)))


def rows(store: Store) -> int:
    ((count,),) = store.rows("SELECT count(*) FROM transition")
    return int(count)


def test_a_port_keeps_its_newest_entries_and_says_how_many_it_had(store: Store) -> None:
    store.do(create("a"))
    store.do(create("b"))
    flap(store, "a", 25)
    flap(store, "b", 3)
    assert [each.number for each in store.history("a")] == list(range(16, 26))
    assert [each.number for each in store.history("b")] == [1, 2, 3]
    port = store.port("a")
    assert port is not None
    assert port.history_length == 25


def test_a_lower_bound_holds_from_a_ports_next_entry_on(store: Store) -> None:
    store.do(create("a"))
    flap(store, "a", 10)
    store.history_kept = HistoryKept(per_port_max=3)
    flap(store, "a", 1)
    assert [each.number for each in store.history("a")] == [9, 10, 11]


def test_several_entries_in_one_batch_keep_to_it(store: Store) -> None:
    store.do(create("a"))
    store.batch(*(update("a", admin_state_up=bool(n % 2)) for n in range(25)))
    assert [each.number for each in store.history("a")] == list(range(16, 26))


def test_a_deleted_ports_history_stays_for_a_while(store: Store) -> None:
    store.do(create("gone"))
    store.do(create("stays"))
    flap(store, "stays", 2)
    flap(store, "gone", 2)
    store.do(delete("gone"))
    store.now += KEPT.after_delete_s - 1
    store.do(Tick(caller=ADMIN))
    assert [each.event for each in store.history("gone")][-2:] == ["delete", "rested"]
    store.now += 2
    store.do(Tick(caller=ADMIN))
    assert store.history("gone") == []
    assert len(store.history("stays")) == 2


def test_upkeep_forgets_a_bounded_number_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_TRANSITIONS_MAX", 5)
    for port_id in ("a", "b", "c"):
        store.do(create(port_id))
        flap(store, port_id, 2)
        store.do(delete(port_id))
    store.now += KEPT.after_delete_s + 1
    left = [rows(store)]
    while rows(store):
        store.do(Tick(caller=ADMIN))
        left.append(rows(store))
    assert left == [12, 7, 2, 0]


def test_forgetting_walks_an_index(store: Store) -> None:
    """However many histories there are, upkeep looks only at those that it forgets."""
    plan = store.place.plan("SELECT port_id FROM transition WHERE ended_at <= 1")
    assert "transition_ended" in plan
