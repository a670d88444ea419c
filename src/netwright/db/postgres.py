"""PostgreSQL as a durable store, shared by any number of server processes.

    write   READ COMMITTED; `take_turn` is an advisory lock that lasts until the commit
    read    REPEATABLE READ, READ ONLY: one snapshot; a lone statement is one by itself
    aside   REPEATABLE READ on a connection of its own; begun anew when another was faster

No statement runs longer than `STATEMENT_S`, no transaction idles longer than `IDLE_S`: a process
that hangs while it has the turn loses it by the server's own clock, and so stalls the others no
longer than that.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy import ClauseElement

from netwright.db.postgres_transaction import PostgresTransaction
from netwright.db.transaction import KeyTaken, Row, Transaction, Work
from netwright.model.errors import Unavailable
from netwright.reasons import reason

T = TypeVar("T")

READERS_MAX = 6
WRITERS_MAX = 5
"""Of their own, so that whoever has the turn never waits behind those who read."""

KEPT_MAX = 2
"""Connections of each pool that stay out of it when work with them ended well: to give one back and
take it again costs as much as three statements."""

STATEMENT_S = 5.0
IDLE_S = 5.0
CONNECT_S = 5.0
APPLICATION = "netwright"
"""What a server's sessions are called in pg_stat_activity."""
_ASIDE_ROUNDS_MAX = 20

log = structlog.get_logger(__name__)

# What a batch reads and writes it finds by keys. A plan is made once, maybe while the tables are
# empty, and kept: one that reads a table whole would go on doing so when it has a million rows.
_OF_WRITERS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}

_GONE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that ends amid an operation
    asyncpg.InternalServerError,
    asyncpg.PostgresSystemError,
    asyncpg.OperatorInterventionError,  # shutting down, cancelled by the statement's timeout
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class PostgresDatabase:
    """`db.transaction.Database` on a server's database, `url` as libpq reads it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pools: dict[int, asyncpg.Pool] = {}
        self._kept: dict[int, list[asyncpg.Connection]] = defaultdict(list)
        self._opening = asyncio.Lock()

    async def write(self, work: Work[T], *, brief: bool = False) -> T:  # noqa: ARG002 - it never blocks
        async with self._connection(WRITERS_MAX) as connection:
            try:
                async with _begun(connection) as transaction:
                    result = await work(PostgresTransaction(connection))
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                raise KeyTaken(str(error)) from error  # another process was faster
            try:
                await transaction.commit()
            except Exception as error:  # whatever it is: whether it was committed is not known
                _cut(connection)
                raise _unavailable(self.url, error) from error
            return result

    async def read(self, work: Work[T]) -> T:
        async with self._connection(READERS_MAX) as connection:
            begun = _begun(connection, isolation="repeatable_read", readonly=True)
            async with begun as transaction:
                result = await work(PostgresTransaction(connection))
            await transaction.commit()
            return result

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        async with self._connection(READERS_MAX) as connection:  # BEGIN and COMMIT would be waits
            return await PostgresTransaction(connection).select(statement)

    async def aside(self, within: Transaction, work: Work[T]) -> T:  # noqa: ARG002 - the form of both databases
        for _ in range(_ASIDE_ROUNDS_MAX):
            try:
                async with self._connection(WRITERS_MAX) as connection:
                    begun = _begun(connection, isolation="repeatable_read")
                    async with begun as transaction:
                        result = await work(PostgresTransaction(connection))
                    await transaction.commit()
                    return result
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, KeyTaken):
                continue  # another process wrote the same rows; it is done, and we look again
        raise Unavailable(
            f"other servers were faster {_ASIDE_ROUNDS_MAX} times in a row",
            next="send the request again",
        )

    async def close(self) -> None:
        pools, self._pools = self._pools, {}
        for size, pool in pools.items():
            while self._kept[size]:
                await self._give_back(pool, self._kept[size].pop())
            try:
                async with asyncio.timeout(STATEMENT_S + 1.0):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def look(self, work: Work[T]) -> T:
        """Run `work`, which is one statement that finds rows by a key, on a snapshot of its own."""
        async with self._connection(WRITERS_MAX) as connection:
            return await work(PostgresTransaction(connection))

    async def notify(self, channel: str, said: str) -> None:
        """Wake all who listen. Nobody waits for the disk: it is no loss if it is lost."""
        sql = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"
        async with self._connection(WRITERS_MAX) as connection:
            await connection.fetch(sql, channel, said)

    @asynccontextmanager
    async def listening(
        self, channel: str, hear: Callable[[str], None]
    ) -> AsyncIterator[asyncio.Event]:
        """Call `hear` at each notification, on a connection of its own; the event: it has ended."""
        with unavailable_when_gone(self.url):
            connection = await asyncpg.connect(self.url, timeout=CONNECT_S)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            with unavailable_when_gone(self.url):
                await connection.add_listener(channel, lambda *heard: hear(heard[-1]))
            yield ended
        finally:
            connection.terminate()

    @asynccontextmanager
    async def _connection(self, size: int) -> AsyncIterator[asyncpg.Connection]:
        """One of the pool of this size. What goes wrong when it is given back undoes nothing."""
        with unavailable_when_gone(self.url):
            pool = self._pools.get(size) or await self._open(size)
            kept = self._kept[size]
            connection = await self._taken(pool, kept)
            is_well = False
            try:
                yield connection
                is_well = _is_open(connection)
            except TimeoutError:  # it is silent: to give it back would wait once more
                _cut(connection)
                raise
            finally:
                if is_well and len(kept) < KEPT_MAX and self._pools.get(size) is pool:
                    kept.append(connection)
                else:
                    await self._give_back(pool, connection)

    async def _taken(
        self, pool: asyncpg.Pool, kept: list[asyncpg.Connection]
    ) -> asyncpg.Connection:
        while kept:
            connection = kept.pop()
            if _is_open(connection):
                return connection
            await self._give_back(pool, connection)  # it ended while nobody had it
        return await pool.acquire(timeout=CONNECT_S)

    async def _give_back(self, pool: asyncpg.Pool, connection: asyncpg.Connection) -> None:
        try:
            await pool.release(connection, timeout=STATEMENT_S)
        except Exception as error:  # noqa: BLE001 - it has ended; the next is a new one
            log.info("postgresql.connection_lost", why=repr(error))
            _cut(connection)

    async def _open(self, size: int) -> asyncpg.Pool:
        async with self._opening:
            if size not in self._pools:
                self._pools[size] = await asyncpg.create_pool(
                    self.url,
                    min_size=1,
                    max_size=size,
                    timeout=CONNECT_S,
                    command_timeout=STATEMENT_S + 1.0,
                    max_inactive_connection_lifetime=60.0,
                    reset=_leave_as_it_is,
                    server_settings=_settings() | (_OF_WRITERS if size == WRITERS_MAX else {}),
                )
            return self._pools[size]


def _settings() -> dict[str, str]:
    return {
        "application_name": APPLICATION,
        "statement_timeout": _ms(STATEMENT_S),
        "idle_in_transaction_session_timeout": _ms(IDLE_S),
        "jit": "off",  # our statements are short; compiling one costs more
        "synchronous_commit": "on",
    }


@asynccontextmanager
async def _begun(
    connection: asyncpg.Connection, **how: Any
) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """A transaction that any error rolls back; who uses it commits it."""
    transaction = connection.transaction(**how)
    await transaction.start()
    try:
        yield transaction
    except (TimeoutError, Unavailable):  # it was silent, here or to another, and would be once more
        _cut(connection)
        raise
    except BaseException:
        try:
            await transaction.rollback()
        except Exception:  # noqa: BLE001 - the connection has ended, and its transaction with it
            _cut(connection)
        raise


def _is_open(connection: asyncpg.Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # it ended by itself, and its pool has taken it back
        return False


def _cut(connection: asyncpg.Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # as above
        connection.terminate()


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Transactions end what they begin; asyncpg's own reset costs a round trip a transaction."""


class unavailable_when_gone:  # noqa: N801 - reads as a phrase in `with`
    """Turns what a server that is away or full does into `Unavailable`; our own mistakes pass."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _GONE) and not isinstance(error, Unavailable):
            raise _unavailable(self._url, error) from error


def _unavailable(url: str, error: Exception) -> Unavailable:
    silent = isinstance(error, TimeoutError) and not str(error)
    why = "it gave no answer in time" if silent else reason(error)
    return Unavailable(
        f"PostgreSQL at {without_password(url)} cannot be used: {why}",
        next="see that it runs, and look at its log;"
        " whether the last change was made shows when it is back",
    )


def without_password(url: str) -> str:
    """The URL as people may read it."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}{at}{place}"


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))
