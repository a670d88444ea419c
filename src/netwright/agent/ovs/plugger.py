"""Containers' devices on the integration bridge: plugged, found, unplugged (effects of `plugs`)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from netwright.agent.ovs.actual import CONTAINER_MARK, Device
from netwright.agent.ovs.errors import OvsUnreachableError, TransactionRefusedError
from netwright.agent.ovs.ovsdb import OvsdbClient
from netwright.agent.ovs.plugs import (
    DEAD_PLACE,
    Numbers,
    Place,
    plugging,
    unplugging,
    without_limit,
)
from netwright.agent.wiring import NewDevice, Plugged


class Plugger:
    """`place` says where the plan would have a device; it is asked while `lock` is held.

    That is the lock under which plans are carried out: none is made between the answer and the
    transaction. `devices` are those that are plugged now.
    """

    def __init__(
        self,
        bridge: str,
        ovsdb: OvsdbClient,
        *,
        lock: asyncio.Lock,
        devices: Callable[[], tuple[Device, ...]],
        place: Callable[[NewDevice], Awaitable[Place]],
        timeout_s: float,
    ) -> None:
        self._bridge = bridge
        self._ovsdb = ovsdb
        self._lock = lock
        self._devices = devices
        self._place = place
        self._timeout_s = timeout_s
        self._numbers = Numbers()

    async def plug(self, device: NewDevice) -> None:
        """Raises OvsUnreachableError, TransactionRefusedError, or when there is no bridge yet."""
        if self._lock.locked():  # the plan that is carried out now does not know the device
            await self._insert(device, DEAD_PLACE)
            return
        async with self._lock:
            await self._insert(device, await self._place(device))

    async def unplug(self, name: str, owner: str | None = None) -> None:
        """What `plug` made (for that owner), also what others left of it. Raises as that does."""
        await self._ovsdb.wait_synced(self._timeout_s)
        named = [device for device in self._devices() if device.port.name == name]
        for device in named:
            of = device.interface.external_ids.get(CONTAINER_MARK)
            if of is not None and owner in {None, of}:
                await self._ovsdb.transact(unplugging(self._bridge, device.port.uuid, name))
        if not named:
            with suppress(TransactionRefusedError):  # a port that is not as we made it has it
                await self._ovsdb.transact([without_limit(name)])

    async def plugged(self) -> Mapping[str, Plugged]:
        """All that `plug` made, by name. Raises OvsUnreachableError."""
        await self._ovsdb.wait_synced(self._timeout_s)
        return {
            device.port.name: Plugged(port_id=device.port_id, owner=owner)
            for device in self._devices()
            if (owner := device.interface.external_ids.get(CONTAINER_MARK)) is not None
        }

    async def _insert(self, device: NewDevice, place: Place) -> None:
        ofport = self._numbers.next(self._ovsdb.replica.interfaces.values())
        done = await self._ovsdb.transact(plugging(self._bridge, device, place, ofport))
        if done[-1].get("count") != 1:
            raise OvsUnreachableError(f"there is no bridge {self._bridge} yet")
