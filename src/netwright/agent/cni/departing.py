"""Ports that went to another host while their containers stayed: noticed, marked, taken off br-int.

    the loop made a pass ─▶ which attached containers' ports are not here? ─▶ marked ─▶ unplugged

The loop has unwired them already, as the server told (law 5). Without their plug no later binding
of the port to this host can be taken for the container's that lost it. The container keeps its dead
interface until its runtime ends it, which frees nothing at the server (law 3).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

import structlog
from msgspec.structs import replace

from netwright.agent.cni.failing import told
from netwright.agent.cni.following import Following
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.wiring import Plugs
from netwright.client.backoff import Backoff
from netwright.client.errand import Errand

AGAIN = Backoff(first_s=0.5, max_s=10.0)

log = structlog.get_logger(__name__)


class Departing:
    """`alone` gives the turn on an interface. `run` works until cancelled."""

    def __init__(
        self,
        records: Records,
        following: Following,
        plugs: Plugs,
        alone: Callable[[Key], AbstractAsyncContextManager[None]],
        *,
        jitter: Callable[[], float],
    ) -> None:
        self._records = records
        self._following = following
        self._plugs = plugs
        self._alone = alone
        self._errand = Errand("moved containers", self._work, backoff=AGAIN, jitter=jitter)

    async def run(self) -> NoReturn:
        await self._errand.run()

    def look(self) -> None:
        """After each pass of the loop; returns at once."""
        if any(map(self._where, self._records.all().values())):
            self._errand.wake()

    def _where(self, record: Record) -> str:
        if record.stage is not Stage.ATTACHED or record.moved:
            return ""
        return self._following.departed(record.port_id, record.container_id)

    async def _work(self) -> None:
        for key, seen in self._records.all().items():
            if not self._where(seen):
                continue  # nor is its turn waited for: an ADD may have it for a minute
            async with self._alone(key):
                record = self._records.get(key)
                if record is not None and (where := self._where(record)):
                    await self._mark(record, where)

    async def _mark(self, record: Record, where: str) -> None:
        """Unplugged first: after a crash between the two it is found again."""
        assert record.fit is not None, "what is attached was fitted"
        with told(record):
            owner = f"{record.container_id}@{record.ifname}"
            await self._plugs.unplug(record.fit.device, owner=owner)
            self._records.put(replace(record, moved=where))
        log.warning("the port of a container is no longer here", container=record.container_id,
                    ifname=record.ifname, subject=record.subject, port=record.port_id,
                    name=record.unique_name, why=where)  # fmt: skip
