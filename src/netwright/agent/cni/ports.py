"""Containers' ports at the server: many asked for at once are one request.

    make, end ─▶ what queued while the last request was under way goes in the next one

A name whose port is being made is ended only after that was answered, or given up: else the server
might hear of the end first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from netwright.client.errors import from_item
from netwright.model.errors import PortNotFound
from netwright.model.resources import Port
from netwright.model.wire import (
    ContainerPort,
    ContainerPortOutcome,
    ContainerPortOutcomes,
    ContainerPorts,
    EndedContainerPorts,
)

AT_ONCE_MAX = 100
"""In one request: the server serves requests as they come, and a host that starts a thousand
containers shall not have them all before the next one's first."""

Item = TypeVar("Item")


class PortServer(Protocol):
    """What is needed of the server: `client.api.Client`, or a test's double."""

    async def make_container_ports(
        self, host: str, wanted: ContainerPorts
    ) -> ContainerPortOutcomes: ...
    async def end_container_ports(
        self, host: str, ended: EndedContainerPorts
    ) -> ContainerPortOutcomes: ...


class Together(Generic[Item]):
    """Asks for many at once: what comes while a request is under way waits for the next one."""

    def __init__(
        self, ask: Callable[[Sequence[Item]], Awaitable[Sequence[ContainerPortOutcome]]]
    ) -> None:
        self._ask = ask
        self._waiting: list[tuple[Item, asyncio.Future[ContainerPortOutcome]]] = []
        self._work: asyncio.Task[None] | None = None

    def ask(self, item: Item) -> asyncio.Future[ContainerPortOutcome]:
        """Its outcome, or the error of the whole request."""
        outcome = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_looked_at)
        self._waiting.append((item, outcome))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run(), name="container ports")
        return outcome

    async def _run(self) -> None:
        while self._waiting:
            asked = self._waiting[:AT_ONCE_MAX]
            del self._waiting[:AT_ONCE_MAX]
            try:
                outcomes = await self._ask([item for item, _ in asked])
                told = list(zip(asked, outcomes, strict=True))
            except Exception as error:  # noqa: BLE001 - each that asked is told, whatever it is
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), outcome in told:
                if not future.done():
                    future.set_result(outcome)


class Ports:
    """Makes and ends the ports of one host's containers, in one project.

    Nothing is asked for before this life of the agent is `registered`: the server would take it for
    one that a newer life has replaced.
    """

    def __init__(
        self,
        *,
        host: str,
        epoch: str,
        project_id: str,
        server: PortServer,
        registered: Callable[[], Awaitable[object]],
    ) -> None:
        self.project_id = project_id
        self._host = host
        self._epoch = epoch
        self._server = server
        self._registered = registered
        self._making: dict[str, asyncio.Future[ContainerPortOutcome]] = {}
        self._made = Together[ContainerPort](self._make)
        self._ended: dict[str, Together[str]] = {}

    async def make(self, wanted: ContainerPort) -> Port:
        """Raises what the server says of this one, or why it does not answer."""
        asked = self._made.ask(wanted)
        self._making[wanted.unique_name] = asked
        asked.add_done_callback(lambda _: self._making.pop(wanted.unique_name, None))
        port = _settled(await asyncio.shield(asked)).port
        assert port is not None, "a port that was made is told"
        return port

    async def end(self, project_id: str, unique_name: str) -> None:
        """Also right when there is none. Raises why the server does not answer."""
        if (making := self._making.get(unique_name)) is not None:
            with suppress(Exception):
                await asyncio.shield(making)
        ending = self._ended.setdefault(
            project_id, Together(lambda names: self._end(project_id, names))
        )
        with suppress(PortNotFound):
            _settled(await asyncio.shield(ending.ask(unique_name)))

    async def _make(self, wanted: Sequence[ContainerPort]) -> Sequence[ContainerPortOutcome]:
        body = ContainerPorts(epoch=self._epoch, project_id=self.project_id, ports=tuple(wanted))
        await self._registered()
        return (await self._server.make_container_ports(self._host, body)).outcomes

    async def _end(self, project_id: str, names: Sequence[str]) -> Sequence[ContainerPortOutcome]:
        body = EndedContainerPorts(
            epoch=self._epoch, project_id=project_id, unique_names=tuple(names)
        )
        await self._registered()
        return (await self._server.end_container_ports(self._host, body)).outcomes


def _settled(outcome: ContainerPortOutcome) -> ContainerPortOutcome:
    if outcome.error is not None:
        raise from_item(outcome.error)
    return outcome


def _looked_at(future: asyncio.Future[ContainerPortOutcome]) -> None:
    """Nobody may be left to wait for it: then its error is nobody's."""
    if not future.cancelled():
        future.exception()
