"""The journal's tables, on SQLite."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from netwright_neutron import journal
from netwright_neutron.journal import PortStep
from netwright_neutron.kinds import Key, Kind

ONE, TWO = Key(Kind.NETWORK, "n"), Key(Kind.PORT, "p")


@pytest.fixture
def session() -> Iterator[Session]:
    engine = sa.create_engine("sqlite://")
    journal.create(engine)
    journal.create(engine)  # what is there is left
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_marks_come_in_their_order(session: Session) -> None:
    journal.put(session, [TWO, ONE], now=10.0)
    journal.put(session, [TWO], now=11.0)
    assert [mark.key for mark in journal.due(session, 11.0, limit=9)] == [TWO, ONE, TWO]
    assert [mark.key for mark in journal.due(session, 11.0, limit=2)] == [TWO, ONE]
    assert journal.due(session, 9.0, limit=9) == []
    assert journal.waiting(session) == {ONE, TWO}


def test_what_is_done_is_gone_and_what_came_meanwhile_is_not(session: Session) -> None:
    journal.put(session, [ONE], now=1.0)
    seen = journal.due(session, 1.0, limit=9)
    journal.put(session, [ONE], now=1.0)
    journal.done(session, [mark.seq for mark in seen])
    assert [mark.key for mark in journal.due(session, 1.0, limit=9)] == [ONE]
    journal.done(session, [])


def test_a_number_is_given_once(session: Session) -> None:
    """Else a mark that is made while another is sent could be taken away with it."""
    journal.put(session, [ONE], now=1.0)
    (first,) = journal.due(session, 1.0, limit=9)
    journal.done(session, [first.seq])
    journal.put(session, [ONE], now=1.0)
    assert journal.due(session, 1.0, limit=9)[0].seq > first.seq


def test_what_failed_waits_and_is_counted(session: Session) -> None:
    journal.put(session, [ONE, TWO], now=1.0)
    first, second = journal.due(session, 1.0, limit=9)
    journal.failed(session, [first.seq], "x" * 5000, due_at=5.0)
    assert journal.due(session, 4.0, limit=9) == [second]
    again = journal.due(session, 5.0, limit=9)[0]
    assert (again.key, again.attempts) == (ONE, 1)


def test_a_lease_is_one_holders_until_it_ends(session: Session) -> None:
    assert journal.take_lease(session, "send", "a", now=0.0, until=10.0)
    assert journal.take_lease(session, "watch", "b", now=0.0, until=10.0)
    assert not journal.take_lease(session, "send", "b", now=9.0, until=19.0)
    assert journal.take_lease(session, "send", "a", now=9.0, until=20.0)
    assert not journal.take_lease(session, "send", "b", now=15.0, until=25.0)
    assert journal.take_lease(session, "send", "b", now=21.0, until=31.0)
    assert not journal.take_lease(session, "send", "a", now=22.0, until=32.0)
    journal.give_lease_back(session, "send", "a")
    assert not journal.take_lease(session, "send", "a", now=22.0, until=32.0)
    journal.give_lease_back(session, "send", "b")
    assert journal.take_lease(session, "send", "a", now=22.0, until=32.0)


def test_the_newest_steps_are_kept(session: Session) -> None:
    step = PortStep("p", 0.0, "HELD", "ERROR", "HELD", "why")
    other = step._replace(port_id="q")
    journal.add_step(session, other)
    for n in range(journal.STEPS_KEPT + 7):
        journal.add_step(session, step._replace(at=float(n), cause="c" * 5000))
    count = sa.select(sa.func.count()).select_from(journal.step_table)
    assert session.execute(count).scalar() == journal.STEPS_KEPT + 1
    last = journal.last_step(session, "p")
    assert last is not None
    assert (last.at, len(last.cause)) == (journal.STEPS_KEPT + 6.0, journal.CAUSE_LENGTH)
    journal.forget_steps(session, "p")
    assert journal.last_step(session, "p") is None
    assert journal.last_step(session, "q") == other
