"""A switch that is reached by ssh: its own driver runs there, and is asked from here."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence

from netwright.fabric.changes import Change
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.connection import Connection
from netwright.fabric.drivers.remote.protocol import Answer, Apply, Call, Learn, Read
from netwright.model.errors import DeviceError


class RemoteDriver:
    """`command` starts the program at the switch, whose address is `address`.

    A call opens a connection when there is none. A call that nobody waits for any more (the
    controller's bound) ends it, and so what it asked of the switch, after the change under way.

    A later connection begins with the last token: the driver there repairs FRR only for a
    controller that it knows as the last that wrote, and one that was overtaken hears so at once.
    """

    def __init__(self, name: str, address: str, command: Sequence[str]) -> None:
        self._where = f"switch {name} ({address})"
        self._command = tuple(command)
        self._connection: Connection | None = None
        self._opened = asyncio.Event()
        self._numbers = itertools.count(1)
        self._token: int | None = None

    async def read(self) -> Actual:
        answer = await self._ask(Read(id=next(self._numbers)))
        if answer.actual is None:
            raise DeviceError(f"{self._where} answered without saying what it is.")
        return answer.actual

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        self._token = token
        await self._ask(self._apply(changes, token))

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        answer = await self._ask(Learn(id=next(self._numbers), vnis=tuple(vnis)))
        return {each.vni: each for each in answer.learned}

    async def watch(self) -> AsyncIterator[None]:
        """Opens no connection: that is for whoever asks, and knows when to try again.

        The end of one, and the beginning of another, may be a change.
        """
        heard: Connection | None = None
        while True:
            connection = self._connection
            if connection is None or connection is heard:
                await self._opened.wait()
                self._opened.clear()
                continue
            heard = connection
            yield
            while await connection.changed():
                yield
            yield

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _ask(self, call: Call) -> Answer:
        if self._connection is not None and self._connection.is_over:
            await self.close()
        if self._connection is None:
            self._connection = await self._open()
            self._opened.set()
        return await self._connection.ask(call)

    async def _open(self) -> Connection:
        connection = await Connection.open(self._where, self._command)
        if self._token is None:
            return connection
        try:
            await connection.ask(self._apply((), self._token))
        except BaseException:
            await connection.close()
            raise
        return connection

    def _apply(self, changes: Sequence[Change], token: int) -> Apply:
        return Apply(id=next(self._numbers), changes=protocol.forms(changes), token=token)
