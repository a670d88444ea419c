"""A double of a host's data plane: what stands outlives the agent, as OVS's flows do."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from random import Random

import msgspec

from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.agent.wiring import (
    Device,
    Endpoint,
    Outcome,
    Wired,
    WiringError,
    WiringStatus,
)
from netwright.model.resources import Nic


class Standing(msgspec.Struct, frozen=True):
    """An endpoint that is wired, and since when."""

    endpoint: Endpoint
    made_at: float


class WiringDouble:
    """`removed` is called whenever the agent takes a plugged device's wiring away."""

    def __init__(
        self,
        *,
        random: Random | None = None,
        removed: Callable[[str, Standing], None] = lambda _port_id, _standing: None,
    ) -> None:
        self.plugged: set[str] = set()
        self.standing: dict[str, Standing] = {}
        self.refusing: dict[str, str] = {}
        self.out_of_order = ""
        self.applied = 0
        self.memberships = NO_MEMBERSHIPS
        self.nics_now: tuple[Nic, ...] = ()
        self.announced: list[frozenset[str]] = []
        self.announced_ahead: list[str] = []
        self._random = random
        self._removed = removed
        self._changed: Callable[[], None] = lambda: None
        self._pending: set[str] = set()
        self._busy = False

    # What happens on the host

    def plug(self, port_id: str) -> None:
        self.plugged.add(port_id)
        if self._random is not None and self._random.random() < 0.3:
            self._pending.add(port_id)
        self._changed()

    def unplug(self, port_id: str) -> None:
        self.plugged.discard(port_id)
        self.standing.pop(port_id, None)
        self._changed()

    def nics_are(self, *nics: Nic) -> None:
        self.nics_now = nics
        self._changed()

    # The protocol

    async def run(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        await asyncio.get_running_loop().create_future()

    async def wait_ready(self, timeout_s: float) -> None:
        return

    async def apply(
        self,
        desired: Mapping[str, Endpoint],
        *,
        sweep: bool,
        memberships: Memberships = NO_MEMBERSHIPS,
    ) -> Wired:
        assert not self._busy, "one pass at a time"
        self._busy = True
        try:
            await self._take_time()
            self.applied += 1
            self.memberships = memberships
            if self.out_of_order:
                raise WiringError(self.out_of_order)
            outcomes = {
                port_id: self._wire(endpoint)
                for port_id, endpoint in desired.items()
                if port_id in self.plugged
            }
            undesired = self.standing.keys() - desired.keys()
            for port_id in undesired if sweep else ():
                self._removed(port_id, self.standing.pop(port_id))
        finally:
            self._busy = False
        return Wired(outcomes=outcomes, standing=frozenset(self.standing.keys() - desired.keys()))

    def announce(self, ports: Iterable[str]) -> None:
        self.announced.append(frozenset(ports) & self.standing.keys())

    async def announce_ahead(self, endpoints: Iterable[Endpoint]) -> None:
        self.announced_ahead += [one.port_id for one in endpoints if one.port_id in self.plugged]

    def devices(self) -> Mapping[str, Device]:
        return {port_id: Device(port_id=port_id, name=f"tap-{port_id}") for port_id in self.plugged}

    def nics(self) -> tuple[Nic, ...]:
        return self.nics_now

    def conditions(self) -> Mapping[str, str]:
        return {}

    def _wire(self, endpoint: Endpoint) -> Outcome:
        port_id = endpoint.port_id
        if port_id in self._pending:
            self._pending.discard(port_id)
            asyncio.get_running_loop().call_later(0.5, self._changed)
            return Outcome(status=WiringStatus.PENDING, cause="the device is being opened")
        if cause := self.refusing.get(port_id):
            self.standing.pop(port_id, None)
            return Outcome(status=WiringStatus.REFUSED, cause=cause)
        before = self.standing.get(port_id)
        if before is None or before.endpoint != endpoint:
            now = asyncio.get_running_loop().time()
            self.standing[port_id] = Standing(endpoint, now if before is None else before.made_at)
        return Outcome(status=WiringStatus.UP)

    async def _take_time(self) -> None:
        if self._random is not None:
            await asyncio.sleep(self._random.uniform(0.0, 0.3))
