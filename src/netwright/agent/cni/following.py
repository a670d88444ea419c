"""What the agent's loop has found of a container's port: waited for, never asked for again."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from netwright.agent.cni.made import Fitting, fitting
from netwright.agent.reconcile import Pass
from netwright.agent.wiring import Outcome, WiringStatus
from netwright.client.mirror import Key as MirrorKey
from netwright.model.resources import Network, Port, Subnet
from netwright.model.states import BindingState, PortState

T = TypeVar("T")


class Beside(NamedTuple):
    """A port beside which another of its network may lie, and the network's MTU."""

    port_id: str
    mtu: int


class MirrorOfHost(Protocol):
    """What the server has told of this host (`client.mirror.Mirror`)."""

    @property
    def complete(self) -> bool: ...
    @property
    def is_current(self) -> bool: ...
    @property
    def broken(self) -> Mapping[MirrorKey, str]: ...
    @property
    def ports(self) -> Mapping[str, Port]: ...
    @property
    def networks(self) -> Mapping[str, Network]: ...
    @property
    def subnets(self) -> Mapping[str, Subnet]: ...


class Loop(Protocol):
    """The agent's loop, as far as containers look at it (`agent.Agent`)."""

    @property
    def mirror(self) -> MirrorOfHost: ...
    @property
    def last(self) -> Pass | None: ...
    def server_trouble(self) -> str: ...
    def wiring_trouble(self) -> str: ...


class Following:
    """`moved` is called after each pass of the loop; it wakes all who wait."""

    def __init__(self, host: str, loop: Loop) -> None:
        self._host = host
        self._loop = loop
        self._moved = asyncio.Event()

    def moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def fitting(self, port: Port, *, default_route: bool) -> Fitting:
        """What its interface is to have, as soon as its network and subnets were told of."""

        def look() -> Fitting | None:
            mirror = self._loop.mirror
            network = mirror.networks.get(port.network_id)
            if network is None:
                return None
            return fitting(port, network, mirror.subnets, default_route=default_route)

        return await self._until(look)

    def wired_in(self, network_id: str) -> Beside | None:
        """A port of the network that has a device of its own here, through which packets pass."""
        last, network = self._loop.last, self._loop.mirror.networks.get(network_id)
        if last is None or network is None:
            return None
        for port_id, one in last.desired.endpoints.items():
            is_there = one.network_id == network_id and one.inside is None and one.admin_state_up
            if is_there and self.is_up(port_id):
                return Beside(port_id, network.mtu)
        return None

    async def without_device(self, port_id: str) -> None:
        """Return when the loop knows of no device of the port.

        Before another container's is plugged: what the loop found of the last one's would be taken
        for it.
        """

        def look() -> bool | None:
            last = self._loop.last
            return None if last is not None and port_id in last.wired.outcomes else True

        await self._until(look)

    async def met(self, port_id: str) -> None:
        """Return when a pass of the loop knew the port, as the server has told of it.

        The loop asks the server for what it does not know, and has no place for its device.
        """

        def look() -> bool | None:
            last = self._loop.last
            return True if last is not None and port_id in last.ports else None

        await self._until(look)

    async def coming_up(self, port: Port) -> None:
        """As `up`, or when nothing is lacking but that its device is opened."""
        await self._wired(port, lambda one: one.is_opening or one.status is WiringStatus.UP)

    async def up(self, port: Port) -> None:
        """Return when the loop has read back that this host wires the port, bound as it is here."""
        await self._wired(port, lambda one: one.status is WiringStatus.UP)

    async def _wired(self, port: Port, suffices: Callable[[Outcome], bool]) -> None:
        """As this host is to wire it now: the answer to a claim may overtake the watch.

        What was told of an older binding, and its end that is still to be told, are not taken for
        it.
        """

        def look() -> bool | None:
            last, bound = self._loop.last, port.binding_on(self._host)
            told = last.ports.get(port.id) if last is not None else None
            seen = told.binding_on(self._host) if told is not None else None
            if bound is None or seen is None or seen.generation < bound.generation:
                return None
            outcome = last.wired.outcomes.get(port.id) if last is not None else None
            return True if outcome is not None and suffices(outcome) else None

        await self._until(look)

    async def active(self, port_id: str) -> None:
        """Return when the server has told that the port is ACTIVE."""

        def look() -> bool | None:
            port = self._loop.mirror.ports.get(port_id)
            return True if port is not None and port.state is PortState.ACTIVE else None

        await self._until(look)

    def why_not(self, port_id: str) -> str:
        """What is known of why it is not up, or not ACTIVE; "" when it is up as far as we know."""
        last, mirror = self._loop.last, self._loop.mirror
        port = mirror.ports.get(port_id)
        if port is None:
            return self._loop.server_trouble() or "the server has not told of the port yet"
        if trouble := self._loop.wiring_trouble():
            return trouble
        if last is not None and (why := last.desired.later.get(port_id)):
            return why
        outcome = last.wired.outcomes.get(port_id) if last is not None else None
        if outcome is None:
            return "its device was not found on br-int yet"
        if outcome.status is not WiringStatus.UP:
            return outcome.cause or f"its device is {outcome.status}"
        return port.cause or ("" if port.state is PortState.ACTIVE else f"it is {port.state}")

    def waited_for(self, port_id: str) -> str:
        """The host that must let go of the port before this one may wire it; "" when none must."""
        port = self._loop.mirror.ports.get(port_id)
        bindings = port.bindings if port is not None else ()
        older = (one for one in bindings if one.host != self._host)
        return next((one.host for one in older if one.state is BindingState.WITHDRAWING), "")

    def departed(self, port_id: str, container_id: str) -> str:
        """Where an attached container's port went, in words; "" while it is here, as far as known.

        Only what a pass has found on a whole state counts. A port that is bound nowhere, or that
        this host cannot serve now, went nowhere.
        """
        last = self._loop.last
        if last is None or not last.was_swept:
            return ""
        port = last.ports.get(port_id)
        if port is None:
            return "it was bound to another host, or deleted"
        active = port.active_binding
        if active is None:
            return ""
        if active.host != self._host:
            return f"it is bound to host {active.host}"
        is_anothers = bool(port.device_id) and port.device_id != container_id
        return f"it is container {port.device_id}'s" if is_anothers else ""

    def is_up(self, port_id: str) -> bool:
        last = self._loop.last
        outcome = last.wired.outcomes.get(port_id) if last is not None else None
        return outcome is not None and outcome.status is WiringStatus.UP

    async def _until(self, look: Callable[[], T | None]) -> T:
        while (found := look()) is None:
            await self._moved.wait()
        return found
