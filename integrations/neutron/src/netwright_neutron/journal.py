"""The journal: marks of what is to be looked at, in Neutron's own database.

The tables are this package's own, made where they lack when the driver starts (`create`): no
migration of Neutron's knows them, and nothing refers to them. A mark is written in the transaction
of the change that it tells of, so there is one for each change that was committed, and no other.

    netwright_mark    what to look at; `seq` is their order; one that failed waits until `due_at`
    netwright_lease   which process sends, which watches, and until when
    netwright_step    a port's steps: how it stood in Neutron, what Netwright said, how it stands
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from netwright_neutron.kinds import Key, Kind

_metadata = sa.MetaData()
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CAUSE_LENGTH = 1000

mark_table = sa.Table(
    "netwright_mark",
    _metadata,
    sa.Column("seq", _counter, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("resource_id", sa.String(36), nullable=False),
    sa.Column("made_at", sa.Double, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.String(CAUSE_LENGTH), nullable=False, default=""),
    sqlite_autoincrement=True,
)

lease_table = sa.Table(
    "netwright_lease",
    _metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)

step_table = sa.Table(
    "netwright_step",
    _metadata,
    sa.Column("seq", _counter, primary_key=True, autoincrement=True),
    sa.Column("port_id", sa.String(36), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("stood", sa.String(16), nullable=False),
    sa.Column("seen", sa.String(16), nullable=False),
    sa.Column("stands", sa.String(16), nullable=False),
    sa.Column("cause", sa.String(CAUSE_LENGTH), nullable=False),
    sqlite_autoincrement=True,
)


class Mark(NamedTuple):
    seq: int
    key: Key
    attempts: int


class PortStep(NamedTuple):
    port_id: str
    at: float
    stood: str
    seen: str
    stands: str
    cause: str


def create(engine: Any) -> None:
    """Make the tables that lack."""
    _metadata.create_all(engine, checkfirst=True)


# Each of these runs in the session's transaction, which is the caller's to commit.


def put(session: Any, keys: Iterable[Key], now: float) -> None:
    """Marks for these, in this order."""
    for key in keys:
        session.execute(
            mark_table.insert().values(
                kind=key.kind.value,
                resource_id=key.id,
                made_at=now,
                due_at=now,
                attempts=0,
                error="",
            )
        )


def due(session: Any, now: float, limit: int) -> list[Mark]:
    """The oldest marks whose time has come."""
    table = mark_table.c
    rows = session.execute(
        sa.select(table.seq, table.kind, table.resource_id, table.attempts)
        .where(table.due_at <= now)
        .order_by(table.seq)
        .limit(limit)
    )
    return [Mark(seq, Key(Kind(kind), id_), attempts) for seq, kind, id_, attempts in rows]


def waiting(session: Any) -> set[Key]:
    """What is marked, whether its time has come or not."""
    table = mark_table.c
    rows = session.execute(sa.select(table.kind, table.resource_id).distinct())
    return {Key(Kind(kind), id_) for kind, id_ in rows}


def done(session: Any, seqs: Sequence[int]) -> None:
    if seqs:
        session.execute(mark_table.delete().where(mark_table.c.seq.in_(seqs)))


def failed(session: Any, seqs: Sequence[int], error: str, due_at: float) -> None:
    """They are tried again at this time."""
    session.execute(
        mark_table.update()
        .where(mark_table.c.seq.in_(seqs))
        .values(attempts=mark_table.c.attempts + 1, error=error[:CAUSE_LENGTH], due_at=due_at)
    )


def take_lease(session: Any, name: str, holder: str, now: float, until: float) -> bool:
    """Whether the lease is this holder's until then: it had it, or nobody has it any more."""
    table = lease_table.c
    taken = session.execute(
        lease_table.update()
        .where(table.name == name, sa.or_(table.holder == holder, table.until < now))
        .values(holder=holder, until=until)
    )
    if taken.rowcount:
        return True
    if session.execute(sa.select(table.name).where(table.name == name)).first() is not None:
        return False
    session.execute(lease_table.insert().values(name=name, holder=holder, until=until))
    return True


def give_lease_back(session: Any, name: str, holder: str) -> None:
    table = lease_table.c
    session.execute(
        lease_table.update().where(table.name == name, table.holder == holder).values(until=0.0)
    )


STEPS_KEPT = 50


def add_step(session: Any, step: PortStep) -> None:
    """Keep the step; of each port the newest are kept."""
    kept = step._replace(cause=step.cause[:CAUSE_LENGTH])
    session.execute(step_table.insert().values(**kept._asdict()))
    table = step_table.c
    oldest = session.execute(
        sa.select(table.seq)
        .where(table.port_id == step.port_id)
        .order_by(table.seq.desc())
        .offset(STEPS_KEPT)
        .limit(1)
    ).scalar()
    if oldest is not None:
        session.execute(
            step_table.delete().where(table.port_id == step.port_id, table.seq <= oldest)
        )


def last_step(session: Any, port_id: str) -> PortStep | None:
    table = step_table.c
    row = session.execute(
        sa.select(step_table).where(table.port_id == port_id).order_by(table.seq.desc()).limit(1)
    ).first()
    return None if row is None else PortStep(*tuple(row)[1:])


def forget_steps(session: Any, port_id: str) -> None:
    session.execute(step_table.delete().where(step_table.c.port_id == port_id))
