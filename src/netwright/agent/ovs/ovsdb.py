"""OVSDB client: JSON-RPC over a unix socket (RFC 7047), a replica of rows, transactions.

Tasks: `run()` is the only reader. It connects, asks for a monitor, replaces the replica by the
snapshot, then applies updates in order until the connection ends, and begins again.

    disconnected ──connect──▶ syncing ──monitor reply──▶ synced ──socket closed──▶ disconnected

`transact()` may be called by any task while synced. ovsdb-server sends the updates that a
transaction causes before its reply, so that the replica holds them when `transact()` returns.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from netwright.agent.ovs.connection import stay_connected
from netwright.agent.ovs.errors import (
    OvsProtocolError,
    OvsUnreachableError,
    TransactionRefusedError,
)
from netwright.agent.ovs.framing import FramingError, JsonFramer
from netwright.agent.ovs.replica import Replica, RowChange
from netwright.agent.ovs.rows import MONITORED, RowDecodeError

DATABASE = "Open_vSwitch"
READ_BYTES = 256 * 1024

Operation: TypeAlias = Mapping[str, Any]
"""An RFC 7047 §5.2 operation as JSON: {"op": "insert", "table": …}."""


class _Message(msgspec.Struct):
    """A request, a notification or a response (RFC 7047 §4)."""

    id: Any = None
    method: str | None = None
    params: Any = None
    result: Any = None
    error: Any = None


_decode_message = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


def _messages(framer: JsonFramer, chunk: bytes) -> Iterable[_Message]:
    """Those that end in the chunk: as a rule one, whole, whose end need not be looked for."""
    if framer.is_empty:
        with suppress(msgspec.DecodeError):  # several, or a part of one
            return (_decode_message(chunk),)
    return map(_decode_message, framer.feed(chunk))


class OvsdbClient:
    """One connection to ovsdb-server, kept up for as long as `run()` runs.

    `on_change` is called from `run()` with all row changes of one update (one transaction, or a
    whole resync); `on_sync` with True when the replica is complete, False when the connection
    went. Both must return at once. The replica keeps its last rows while disconnected.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_change: Callable[[tuple[RowChange, ...]], None] = lambda _changes: None,
        on_sync: Callable[[bool], None] = lambda _synced: None,
        timeout_s: float = 5.0,
    ) -> None:
        self.path = path
        self.replica = Replica()
        self._on_change = on_change
        self._on_sync = on_sync
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._synced = asyncio.Event()
        self._monitor_id = 0

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await stay_connected(self.path, self._session, self._close)

    async def wait_synced(self, timeout_s: float) -> None:
        """Return once the replica is complete. Raises OvsUnreachableError after `timeout_s`."""
        if self._synced.is_set():
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._synced.wait()
        except TimeoutError:
            raise OvsUnreachableError(
                f"no OVSDB snapshot from {self.path} within {timeout_s} s: is ovsdb-server running?"
            ) from None

    async def synced(self) -> None:
        """Wait, as long as it takes, until the replica is complete."""
        await self._synced.wait()

    async def transact(self, operations: Sequence[Operation]) -> list[Mapping[str, Any]]:
        """Apply `operations` as one transaction; return one result each.

        Raises TransactionRefusedError (nothing applied) or OvsUnreachableError (unknown).
        """
        if not self._synced.is_set():
            raise OvsUnreachableError(f"not connected to OVSDB at {self.path}")
        results = await self._request("transact", [DATABASE, *operations])
        # RFC 7047 §4.1.3: the failed operation's place holds its error, later places null; an
        # error at commit stands in one place more than there are operations.
        for index, result in enumerate(results):
            if isinstance(result, dict) and result.get("error"):
                operation = operations[index] if index < len(operations) else {}
                raise TransactionRefusedError(
                    operation=str(operation.get("op", "commit")),
                    table=str(operation.get("table", DATABASE)),
                    index=index,
                    error=str(result["error"]),
                    details=str(result.get("details", "")),
                )
        return list(results)

    async def echo(self) -> None:
        """Raise OvsUnreachableError unless ovsdb-server answers in time."""
        await self._request("echo", [])

    async def _session(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(str(self.path), limit=READ_BYTES)
        self._monitor_id = next(self._ids)
        monitor = {table: {"columns": columns} for table, columns in MONITORED.items()}
        self._send(
            {"id": self._monitor_id, "method": "monitor", "params": [DATABASE, None, monitor]}
        )
        framer = JsonFramer()
        while chunk := await self._read(reader):
            try:
                for message in _messages(framer, chunk):
                    self._receive(message)
            except (
                FramingError,
                RowDecodeError,
                msgspec.DecodeError,
                UnicodeDecodeError,
            ) as error:
                raise OvsProtocolError(f"{self.path}: {error}") from error
        raise OvsUnreachableError(f"ovsdb-server closed {self.path}")

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Read a chunk: the snapshot must come in time, later silence is normal."""
        if self._synced.is_set():
            return await reader.read(READ_BYTES)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reader.read(READ_BYTES)
        except TimeoutError:
            raise OvsUnreachableError(
                f"no snapshot from {self.path} within {self._timeout_s} s"
            ) from None

    def _receive(self, message: _Message) -> None:
        if message.method == "update":
            self._notify(self.replica.apply(message.params[1]))
        elif message.method == "echo":
            self._send({"id": message.id, "result": message.params, "error": None})
        elif message.id == self._monitor_id:
            self._resync(message)
        elif message.method is None:
            waiting = self._waiting.pop(message.id, None)
            if waiting is not None and not waiting.done():
                self._settle(waiting, message)

    def _resync(self, message: _Message) -> None:
        if message.error is not None:
            raise OvsProtocolError(
                f"ovsdb-server at {self.path} refuses to be monitored: {message}"
            )
        changes = self.replica.replace(message.result)
        self._synced.set()
        self._on_sync(True)  # noqa: FBT003 - the callback's one argument
        self._notify(changes)

    def _settle(self, waiting: asyncio.Future[Any], message: _Message) -> None:
        if message.error is None:
            waiting.set_result(message.result)
        else:
            waiting.set_exception(OvsProtocolError(f"{self.path}: {message.error}"))

    def _notify(self, changes: tuple[RowChange, ...]) -> None:
        if changes:
            self._on_change(changes)

    async def _request(self, method: str, params: list[Any]) -> Any:
        request_id = next(self._ids)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = waiting
        try:
            self._send({"id": request_id, "method": method, "params": params})
            async with asyncio.timeout(self._timeout_s):
                return await waiting
        except TimeoutError:
            raise OvsUnreachableError(
                f"ovsdb-server at {self.path} did not answer {method} within {self._timeout_s} s"
            ) from None
        finally:
            self._waiting.pop(request_id, None)

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._writer is None or self._writer.is_closing():
            raise OvsUnreachableError(f"not connected to OVSDB at {self.path}")
        self._writer.write(_encode(message))

    def _close(self) -> bool:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(
                    OvsUnreachableError(f"ovsdb-server at {self.path} went during a request")
                )
        self._waiting.clear()
        if not self._synced.is_set():
            return False
        self._synced.clear()
        self._on_sync(False)  # noqa: FBT003 - the callback's one argument
        return True
