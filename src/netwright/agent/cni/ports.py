"""Containers' ports at the server: many asked for at once are one request.

    make, end ─▶ what queued while the last request was under way goes in the next one

A container whose port is being made is ended only after that was answered, or given up, and the
other way round: else the server might hear of the second first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar

from msgspec.structs import replace

from netwright.client.errors import from_item
from netwright.model.errors import PortNotFound
from netwright.model.resources import Port
from netwright.model.wire import (
    ContainerPort,
    ContainerPortOutcome,
    ContainerPortOutcomes,
    ContainerPorts,
    EndedContainerPort,
    EndedContainerPorts,
)

AT_ONCE_MAX = 20
"""In one request: the server serves requests as they come, and of hosts that start containers at
once each has its last when the others have, not when it was served whole (ADR 40)."""

TAKEN_MAX = 4
"""How often one ADD asks to take a name that others take from each other meanwhile."""

Item = TypeVar("Item")
_Of: TypeAlias = tuple[str, str]
"""A unique name, and the container's id."""


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
        self._making: dict[_Of, asyncio.Future[ContainerPortOutcome]] = {}
        self._ending: dict[_Of, asyncio.Future[ContainerPortOutcome]] = {}
        self._made: dict[str, Together[ContainerPort]] = {}
        self._ended: dict[str, Together[EndedContainerPort]] = {}

    async def make(self, wanted: ContainerPort, *, project_id: str = "") -> Port:
        """Once more, it is the same port; also while it is still being made.

        Raises what the server says of this one, or why it does not answer.
        """
        key = wanted.unique_name, wanted.device_id
        if (ending := self._ending.get(key)) is not None:
            with suppress(Exception):
                await asyncio.shield(ending)
        if (asked := self._making.get(key)) is None:
            project = project_id or self.project_id
            made = self._made.setdefault(project, Together(partial(self._make, project)))
            asked = self._making[key] = made.ask(wanted)
            asked.add_done_callback(lambda _: self._making.pop(key, None))
        port = _settled(await asyncio.shield(asked)).port
        assert port is not None, "a port that was made is told"
        return port

    async def end(
        self, project_id: str, unique_name: str, container_id: str, attempt: int = 0
    ) -> None:
        """The container's, and no newer one's of that name; also right when there is none.

        Nor what the container has by a newer claim than that of `attempt`.
        Raises why the server does not answer.
        """
        key = unique_name, container_id
        if (making := self._making.get(key)) is not None:
            with suppress(Exception):
                await asyncio.shield(making)
        ending = self._ended.setdefault(project_id, Together(partial(self._end, project_id)))
        asked = ending.ask(
            EndedContainerPort(unique_name=unique_name, container_id=container_id, attempt=attempt)
        )
        self._ending[key] = asked
        asked.add_done_callback(lambda _: self._ending.pop(key, None))
        with suppress(PortNotFound):
            _settled(await asyncio.shield(asked))

    async def _make(
        self, project_id: str, wanted: Sequence[ContainerPort]
    ) -> Sequence[ContainerPortOutcome]:
        async def ask(some: Sequence[ContainerPort]) -> Sequence[ContainerPortOutcome]:
            body = ContainerPorts(epoch=self._epoch, project_id=project_id, ports=tuple(some))
            return (await self._server.make_container_ports(self._host, body)).outcomes

        await self._registered()
        return await taking(ask, wanted)

    async def _end(
        self, project_id: str, ended: Sequence[EndedContainerPort]
    ) -> Sequence[ContainerPortOutcome]:
        body = EndedContainerPorts(epoch=self._epoch, project_id=project_id, ended=tuple(ended))
        await self._registered()
        return (await self._server.end_container_ports(self._host, body)).outcomes


async def taking(
    ask: Callable[[Sequence[ContainerPort]], Awaitable[Sequence[ContainerPortOutcome]]],
    wanted: Sequence[ContainerPort],
) -> Sequence[ContainerPortOutcome]:
    """Ask for ports; for those by whose names other containers live, ask to take them.

    So a request says from whom it takes a name. One that the server reads late, when nobody waits
    for it any more, takes nothing from a container that has come to the name since (ADR 59).
    """
    claims = [replace(one, takes="") for one in wanted]
    outcomes = list(await ask(claims))
    for _ in range(TAKEN_MAX):
        held = [at for at, one in enumerate(outcomes) if one.held_by not in {"", claims[at].takes}]
        if not held:
            break
        for at in held:
            claims[at] = replace(claims[at], takes=outcomes[at].held_by)
        again = await ask([claims[at] for at in held])
        for at, outcome in zip(held, again, strict=True):
            outcomes[at] = outcome
    return outcomes


def _settled(outcome: ContainerPortOutcome) -> ContainerPortOutcome:
    if outcome.error is not None:
        raise from_item(outcome.error)
    return outcome


def _looked_at(future: asyncio.Future[ContainerPortOutcome]) -> None:
    """Nobody may be left to wait for it: then its error is nobody's."""
    if not future.cancelled():
        future.exception()
