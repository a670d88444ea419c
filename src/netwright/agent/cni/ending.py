"""How containers' interfaces end: on the host first, then at the server, be it later.

adding, attached ─▶ unplugged, veth gone ─▶ releasing ─▶ the server was told ─▶ no record
                                                └─ it is away: the errand tells it later
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog
from msgspec.structs import replace

from netwright.agent.cni.failing import told
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.cni.turns import Turns
from netwright.agent.wiring import Plugs, WiringError
from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.model.containers import SLOT
from netwright.model.errors import Fault, HostNotFound, NetwrightError, StaleEpoch

RELEASE_S_MAX = 2.0
"""How long a container's end waits for the server, which is told later otherwise."""
UNDO_S_MAX = 0.3
"""How long an ADD that failed does: its front end waits for the reason."""
SERVER_AGAIN = Backoff(first_s=0.5, max_s=10.0)

log = structlog.get_logger(__name__)


class Removing(Protocol):
    async def remove(self, device: str, mark: str | None = None) -> None: ...


class Ending:
    """`run` ends what an earlier life left half done, and tells the server what it missed.

    `end` and `undo` want the interface's turn; `run` takes it.
    """

    def __init__(
        self,
        *,
        ports: Ports,
        records: Records,
        veths: Removing,
        plugs: Plugs,
        turns: Turns,
        jitter: Callable[[], float],
    ) -> None:
        self._ports = ports
        self._records = records
        self._veths = veths
        self._plugs = plugs
        self._turns = turns
        work = self._release_all
        self._releasing = Errand("containers", work, backoff=SERVER_AGAIN, jitter=jitter)
        self._releasing.wake()

    async def run(self) -> NoReturn:
        await self._releasing.run()

    def look(self, key: Key) -> None:
        """After a verb: what it has left half made or half told is the errand's."""
        record = self._records.get(key)
        if record is not None and record.stage is not Stage.ATTACHED:
            self._releasing.wake()

    async def undo(self, key: Key) -> None:
        """End what a failed ADD has made; what cannot be ended now is the errand's."""
        try:
            await self.end(key, server_s_max=UNDO_S_MAX)
        except WiringError as error:
            log.warning("an ADD is not undone yet", container=key[0], ifname=key[1], why=str(error))

    async def end(self, key: Key, *, server_s_max: float = RELEASE_S_MAX) -> None:
        """Nothing of it is left here, nor at the server if that answers soon.

        Raises WiringError when something may be left here; its record stays.
        """
        record = self._records.get(key)
        if record is None:
            return
        if record.stage is not Stage.RELEASING:
            await self._clear(record)
        try:
            async with asyncio.timeout(server_s_max):
                await self._release(record)
        except (NetwrightError, TimeoutError) as error:  # also what the host refused
            why = str(error) or "the server has not answered yet"
            log.info("a port is deleted later", name=record.unique_name, why=why)

    async def _clear(self, record: Record) -> None:
        with told(record):
            if record.fit is not None and not self._is_anothers(record, record.fit.device):
                await self._plugs.unplug(record.fit.device)
                await self._veths.remove(record.fit.device)
            claim = record.claim and replace(record.claim, port_id="")  # as once it is attached
            self._records.put(replace(record, stage=Stage.RELEASING, claim=claim))

    def _is_anothers(self, record: Record, device: str) -> bool:
        """Whether the device is that of a container to which the port went on this host."""
        return any(
            one.fit is not None and one.fit.device == device and one.key != record.key
            for one in self._records.all().values()
        )

    async def _release(self, record: Record) -> None:
        if SLOT in record.unique_name and (named := await self._asked_again(record)) is not None:
            record = named
        attempt = record.claim.attempt if record.claim is not None else 0
        await self._ports.end(record.project_id, record.unique_name, record.container_id, attempt)
        with told(record):
            self._records.drop(record.key)

    async def _asked_again(self, record: Record) -> Record | None:
        """With the name that the server has put for its {slot}, should it have; None if it has not.

        An earlier ask may have been answered to nobody: to the same container the answer is the
        same.
        """
        assert record.claim is not None, "only a claim has a {slot}"
        try:
            port = await self._ports.make(record.claim, project_id=record.project_id)
        except NetwrightError as error:
            if error.fault is not Fault.CALLER or isinstance(error, StaleEpoch | HostNotFound):
                raise
            return None
        record = replace(record, unique_name=port.unique_name or record.unique_name)
        with told(record):
            self._records.put(record)
        return record

    async def _release_all(self) -> None:
        """Raises the first error, after all were tried."""
        ended = [
            one.key
            for one in self._records.all().values()
            if one.stage is not Stage.ATTACHED and not self._turns.is_busy(one.key)
        ]
        tried = await asyncio.gather(*map(self._release_one, ended), return_exceptions=True)
        for each in tried:
            if isinstance(each, BaseException):
                raise each

    async def _release_one(self, key: Key) -> None:
        async with self._turns.alone(key):
            record = self._records.get(key)
            if record is None or record.stage is Stage.ATTACHED:
                return
            if record.stage is Stage.ADDING:  # of an earlier life, or not undone
                await self._clear(record)
                record = replace(record, stage=Stage.RELEASING)
            if not await self._turns.unless_wanted(key, self._release(record)):
                self._releasing.wake()  # a verb does not wait for a server that is away
