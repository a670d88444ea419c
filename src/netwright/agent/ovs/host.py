"""The host's Open vSwitch as the agent's loop sees it: `netwright.agent.wiring.Wiring`.

    run ─┬─ OvsDriver.run     connections, audit
         ├─ follow            converges whenever something changed: base wiring from the first
         │                    moment, devices that appear, everything after a restart of OVS
         ├─ announce          ports that came up, a moment later
         └─ Answering.run     DHCP clients are answered
    after each converge: ports that left are taken for outside

`apply` replaces what is wanted and may sweep; between two calls `follow` keeps to the last wanted
and sweeps nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

import msgspec

from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.agent.ovs.actual import CONTAINER_MARK
from netwright.agent.ovs.actual import Device as OvsDevice
from netwright.agent.ovs.answering import Answering
from netwright.agent.ovs.changes import DEAD, SEGMENT_MARK
from netwright.agent.ovs.converting import Converted, convert
from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.errors import OvsError
from netwright.agent.ovs.lost_uplinks import LostUplinks
from netwright.agent.ovs.outcome import Outcome as Converged
from netwright.agent.ovs.wiring import Desired
from netwright.agent.ovs.wiring import Endpoint as OvsEndpoint
from netwright.agent.wiring import (
    Device,
    Endpoint,
    NewDevice,
    Outcome,
    Plugged,
    Wired,
    WiringError,
    WiringStatus,
)
from netwright.model.conditions import UPLINK_LOST
from netwright.model.resources import Nic

ANNOUNCE_AFTER_S = 0.01
"""What is flooded to every port of a network keeps a switch busy: the server hears of it first."""

FEW = 4
"""So many are announced at once: one that moved is unreachable until its switches have heard it."""

RULES_NAMED_MAX = 5

_STATUS = {
    "up": WiringStatus.UP,
    "down": WiringStatus.UP,  # administratively: wired as desired, that is, silent
    "wiring": WiringStatus.PENDING,
    "opening": WiringStatus.PENDING,
    "refused": WiringStatus.REFUSED,
}
_UP = Outcome(status=WiringStatus.UP)
_UNFINISHED = frozenset({"wiring", "opening", "refused"})


class OvsHost:
    """Satisfies `Wiring`, by a driver that is not running yet."""

    def __init__(
        self,
        driver: OvsDriver,
        *,
        answering: Answering | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._answering = answering
        self._desired = Desired(driver.wiring)
        self._converged = Converged((), (), complete=False, unreachable="OVS was not read yet")
        self._converged_to: Desired | None = None
        self._base_stands = asyncio.Event()
        self._lost_uplinks = LostUplinks(clock)
        self._up: Mapping[str, OvsEndpoint] = {}
        self._unannounced: frozenset[str] = frozenset()
        self._came_up = asyncio.Event()
        self._converted: Mapping[str, Converted] = {}
        self._endpoints: tuple[OvsEndpoint, ...] = ()
        self._asked: Mapping[str, Endpoint] = {}
        self._found: tuple[OvsDevice, ...] = ()
        self._devices: Mapping[str, Device] = {}
        self._inconvertible: Mapping[str, str] = {}
        self._awaited: dict[str, str] = {}

    async def run(self, changed: Callable[[], None]) -> NoReturn:
        """Keep the host wired until cancelled; what stands stays."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._driver.run(), name="ovs driver")
            tasks.create_task(self._follow(changed), name="ovs follow")
            tasks.create_task(self._announce(), name="ovs announce")
            if self._answering is not None:
                tasks.create_task(self._answering.run(), name="ovs answering")
        raise AssertionError("the driver's tasks never end by themselves")

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once base wiring stands and was read back. Raises WiringError."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._base_stands.wait()
        except TimeoutError:
            raise _unreachable(self._why()) from None

    async def apply(
        self,
        desired: Mapping[str, Endpoint],
        *,
        sweep: bool,
        memberships: Memberships = NO_MEMBERSHIPS,
    ) -> Wired:
        """Wire what is desired; with `sweep`, withdraw what is ours and not desired."""
        if self._answering is not None and desired is not self._asked:
            self._answering.serve(desired.values())
        endpoints, refused = self._convert(desired)
        present = {one.port_id for one in self._driver.devices()} if refused else frozenset[str]()
        outcomes = {
            port_id: Outcome(status=WiringStatus.REFUSED, cause=cause)
            for port_id, cause in refused.items()
            if port_id in present
        }
        self._await({name: id_ for name, id_ in self._awaited.items() if id_ not in desired})
        self._desired = msgspec.structs.replace(
            self._desired, endpoints=endpoints, in_sync=False, memberships=memberships
        )
        wanted = msgspec.structs.replace(self._desired, in_sync=sweep)
        standing = self._standing(desired)
        if not self._stands(wanted, standing):
            await self._converge(wanted)
            standing = self._standing(desired)
        if self._converged.unreachable is not None:
            raise _unreachable(self._converged.unreachable)
        outcomes |= dict(self._outcomes())
        return Wired(outcomes=outcomes, standing=standing)

    def announce(self, ports: Iterable[str]) -> None:
        self._unannounced |= frozenset(ports)
        if self._unannounced:
            self._came_up.set()

    async def announce_ahead(self, endpoints: Iterable[Endpoint]) -> None:
        here = self.devices()
        coming = []
        for one in endpoints:
            if one.port_id in here:
                with suppress(ValueError):  # `apply` says it
                    coming.append(convert(one).endpoint)
        if coming:
            await self._driver.announce_ahead(coming)

    async def plug(self, device: NewDevice) -> None:
        """`Plugs`, as `unplug` and `plugged`."""
        if device.beside and device.port_id not in self._asked:  # else it was told meanwhile
            self._await({**self._awaited, device.name: device.port_id})
        with _told():
            await self._driver.plugger.plug(device)

    async def unplug(self, name: str, owner: str | None = None) -> None:
        with _told():
            await self._driver.plugger.unplug(name, owner)
        if name in self._awaited:  # its rows went unheeded, and may have held a local VLAN
            self._await({other: id_ for other, id_ in self._awaited.items() if other != name})
            self._driver.note_change()

    async def plugged(self) -> Mapping[str, Plugged]:
        with _told():
            return await self._driver.plugger.plugged()

    def devices(self) -> Mapping[str, Device]:
        found = self._driver.devices()
        if found is not self._found:  # asked for many times in a pass
            self._found = found
            self._devices = {
                device.port_id: Device(port_id=device.port_id, name=device.interface.name)
                for device in found
            }
        return self._devices

    def nics(self) -> tuple[Nic, ...]:
        return tuple(
            Nic(
                name=member.name,
                link_up=member.carrier,
                forwarding=member.verified,
                active=member.active,
            )
            for uplink in self._driver.uplinks()
            for member in uplink.members
        )

    def conditions(self) -> Mapping[str, str]:
        conditions: dict[str, list[str]] = {}
        for uplink in self._driver.uplinks():
            silent = [member.name for member in uplink.members if not member.verified]
            if silent:
                name = "redundancy lost" if uplink.up else UPLINK_LOST
                cause = f"{uplink.port} on {uplink.bridge}: no verified path by {', '.join(silent)}"
                conditions.setdefault(name, []).append(cause)
        left_out = sorted({why for one in self._converted.values() for why in one.left_out})
        if left_out:
            conditions["security group rules left out"] = left_out[:RULES_NAMED_MAX]
        unsent = sorted({why for one in self._converted.values() for why in one.unsent})
        if unsent:
            conditions["DHCP options not sent"] = unsent[:RULES_NAMED_MAX]
        for problem in self._converged.problems:
            cause = f"{problem.subject}: {problem.cause}"
            conditions.setdefault("base wiring", []).append(cause)
        return {name: "; ".join(causes) for name, causes in conditions.items()}

    async def _follow(self, changed: Callable[[], None]) -> NoReturn:
        told = frozenset[str]()
        while True:
            self._lost_uplinks.look(self._driver.uplinks())
            # Asked for first: one may be lost between this and the next line.
            wait_s = self._lost_uplinks.wait_s()
            is_told = self._lost_uplinks.lost().keys() == told  # else nothing may come to wake us
            if is_told and not await self._is_news(wait_s):
                continue
            told = frozenset(self._lost())
            await self._converge(self._desired)
            changed()

    async def _is_news(self, wait_s: float | None) -> bool:
        """Wait for a change, no longer than until an uplink counts as lost.

        False for one that `apply` has converged from meanwhile, and so tells of.
        """
        try:
            async with asyncio.timeout(wait_s):
                await self._driver.wait_changed()
        except TimeoutError:
            return True
        await self._driver.at_rest()
        is_taken_up = self._converged_to is not None and self._converged.complete
        return self._driver.has_changed or not is_taken_up

    def _lost(self) -> Mapping[str, str]:
        """Why, by bridge, as the uplinks are now."""
        self._lost_uplinks.look(self._driver.uplinks())
        return self._lost_uplinks.lost()

    def _await(self, devices: dict[str, str]) -> None:
        """Whose ports are to be told of: they stay where they are until then."""
        if devices != self._awaited:
            self._awaited = devices
            self._driver.awaited = awaited = frozenset(devices.values())
            self._desired = msgspec.structs.replace(self._desired, awaited=awaited)

    def _stands(self, wanted: Desired, standing: frozenset[str]) -> bool:
        """Whether converging to this would change nothing, and find what was found last.

        As a rule `follow` has just done it: OVS told it of the change, and then us.
        """
        last = self._converged_to
        return (
            last is not None
            and self._converged.complete
            and not self._driver.has_changed
            and (last.wiring, last.endpoints) == (wanted.wiring, wanted.endpoints)
            and last.awaited == wanted.awaited
            and last.memberships is wanted.memberships
            and (last.in_sync == wanted.in_sync or not standing)
            # What was refused may be taken now.
            and all(one.status not in _UNFINISHED for one in self._converged.endpoints)
        )

    async def _converge(self, desired: Desired) -> None:
        self._converged_to = None  # until it has ended: it may be cancelled
        found = await self._driver.converge(desired)
        self._converged_to, self._converged = desired, found
        if self._converged.unreachable is None:
            endpoints = {one.port_id: one for one in desired.endpoints}
            states = self._converged.endpoints
            up = {one.port_id: endpoints[one.port_id] for one in states if one.status == "up"}
            before, self._up = self._up, up
            if left := _differing(before, up):
                await self._driver.take_for_outside(before[port_id] for port_id in left)
            self.announce(_differing(up, before))
        if self._converged.complete:
            self._base_stands.set()

    async def _announce(self) -> NoReturn:
        """Ports that came up make themselves known: they may have been elsewhere before.

        So do those that moved to another segment, and those that are asked to.
        """
        while True:
            await self._came_up.wait()
            is_urgent = len(self._unannounced) <= FEW and not self._are_containers(
                self._unannounced
            )
            await asyncio.sleep(0 if is_urgent else ANNOUNCE_AFTER_S)
            self._came_up.clear()
            news, self._unannounced = self._unannounced & self._up.keys(), frozenset()
            await self._driver.announce(
                one for one in self._desired.endpoints if one.port_id in news
            )

    def _are_containers(self, port_ids: Iterable[str]) -> bool:
        """Whose runtime is to be answered first: before, nobody is there who could be missed."""
        owned = {
            device.port_id
            for device in self._driver.devices()
            if CONTAINER_MARK in device.interface.external_ids
        }
        return owned.issuperset(port_ids)

    def _convert(
        self, desired: Mapping[str, Endpoint]
    ) -> tuple[tuple[OvsEndpoint, ...], Mapping[str, str]]:
        """The endpoints in the driver's terms, and why some have none.

        Each is converted once and stays the same object, by which the planner knows it again; so
        do all together.
        """
        if desired is self._asked:
            return self._endpoints, self._inconvertible
        converted: dict[str, Converted] = {}
        refused: dict[str, str] = {}
        for port_id in sorted(desired):
            endpoint, before = desired[port_id], self._converted.get(port_id)
            if before is not None and (before.of is endpoint or before.of == endpoint):
                converted[port_id] = before
                continue
            try:
                converted[port_id] = convert(endpoint)
            except ValueError as error:
                refused[port_id] = str(error)
        self._converted, self._asked, self._inconvertible = converted, desired, refused
        endpoints = tuple(one.endpoint for one in converted.values())
        if len(endpoints) != len(self._endpoints) or any(
            one is not before for one, before in zip(endpoints, self._endpoints, strict=True)
        ):
            self._endpoints = endpoints
        return self._endpoints, refused

    def _outcomes(self) -> Iterator[tuple[str, Outcome]]:
        lost = self._lost()
        bridges = {one.physical_network: one.name for one in self._driver.wiring.physical_bridges}
        for state in self._converged.endpoints:
            if state.status == "absent":
                continue
            of = self._converted.get(state.port_id)
            said_of = of is not None and (of.left_out or of.unsent)
            if state.status == "up" and not (said_of or lost):  # nearly all
                yield state.port_id, _UP
                continue
            status, cause = _STATUS[state.status], state.cause
            if state.status == "up":
                cause = "; ".join((*of.left_out, *of.unsent)) if of is not None else ""
            if lost and of is not None and status is WiringStatus.UP:
                bridge = bridges.get(of.endpoint.segment.physical_network, "")
                if why := lost.get(bridge):
                    status, cause = WiringStatus.CUT_OFF, why
            is_opening = state.status == "opening"
            yield state.port_id, Outcome(status=status, cause=cause, is_opening=is_opening)

    def _standing(self, desired: Mapping[str, Endpoint]) -> frozenset[str]:
        """Ports that bear our mark as wired although they are not desired."""
        return frozenset(
            device.port_id
            for device in self._driver.devices()
            if device.port_id not in desired
            and device.port_id not in self._desired.awaited
            and device.port.external_ids.get(SEGMENT_MARK, DEAD) != DEAD
        )

    def _why(self) -> str:
        problems = (f"{problem.subject}: {problem.cause}" for problem in self._converged.problems)
        return self._converged.unreachable or "; ".join(problems) or "base wiring does not settle"


def _differing(
    these: Mapping[str, OvsEndpoint], others: Mapping[str, OvsEndpoint]
) -> frozenset[str]:
    """The ports of these that are not, or on another segment, among the others."""
    return frozenset(
        port_id
        for port_id, one in these.items()
        if (other := others.get(port_id)) is not one
        and (other is None or other.segment != one.segment)
    )


@contextmanager
def _told() -> Iterator[None]:
    """What OVS does not do is told in the loop's terms."""
    try:
        yield
    except OvsError as error:
        raise _unreachable(str(error)) from error


def _unreachable(cause: str) -> WiringError:
    return WiringError(
        f"Open vSwitch cannot be changed now: {cause}.",
        next="Look at ovs-vswitchd and ovsdb-server on the host; the agent tries again.",
    )
