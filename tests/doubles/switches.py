"""A switch in memory, stricter than any real one, and with every fault that a test may want.

It refuses a change that is out of order: a segment whose VRF is missing, an interface in a VLAN
without segment, a segment that goes while an interface carries it, a VRF with something in it; and
one that does not say rightly what was there before. What bears no mark of ours (`foreign`) is
neither read nor touched by any driver's call, but its VLANs, VNIs and names are taken.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from msgspec.structs import replace

from netwright.fabric.changes import Change, Element, Verb
from netwright.fabric.config import (
    EMPTY,
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.words import title, words
from netwright.model.errors import DeviceError


class SimulatedSwitch:
    """A `Driver`, and the switch behind it.

    `failures` are taken one for each change to come: None lets it pass, "refuse" changes nothing,
    "hang" times out after the change was made. `observe` sees the configuration after each change.
    """

    def __init__(self, name: str, foreign: SwitchConfig = EMPTY) -> None:
        self.name = name
        self.foreign = foreign
        self.failures: list[str | None] = []
        self.observe: Callable[[SwitchConfig], None] = lambda _config: None
        self.applied: list[Change] = []
        self.is_reachable = True
        self._boots = 1
        self._stirred = asyncio.Event()
        self._vrfs: dict[str, Vrf] = {}
        self._segments: dict[int, Segment] = {}
        self._interfaces: dict[str, Interface] = {}
        self._gateways: dict[str, VlanGateway] = {}
        self._routes: set[Route] = set()

    @property
    def config(self) -> SwitchConfig:
        """What is ours on it: what `read` tells, without asking."""
        return SwitchConfig(
            vrfs=dict(self._vrfs),
            segments=dict(self._segments),
            interfaces=dict(self._interfaces),
            gateways=dict(self._gateways),
            routes=frozenset(self._routes),
        )

    async def read(self) -> Actual:
        self._reach()
        links = {name: not each.is_down for name, each in self._interfaces.items()}
        return Actual(config=self.config, links=links, boot_id=f"{self.name}-{self._boots}")

    async def apply(self, changes: Sequence[Change], *, token: int = 0) -> None:
        self._reach()
        for change in changes:
            self.carry_out(change)

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        """What it would tell of its own routes; it hears of no other switch."""
        self._reach()
        return {
            vni: Learned(
                vni=vni,
                rd=segment.rd,
                export_targets=frozenset(segment.route_targets.exports),
                import_targets=frozenset(segment.route_targets.imports),
                remote_vteps=frozenset(),
            )
            for vni in vnis
            if (segment := self._segments.get(vni))
        }

    async def watch(self) -> AsyncIterator[None]:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            yield

    async def close(self) -> None:
        pass

    def carry_out(self, change: Change) -> None:
        """One change, with the failure that is due."""
        failure = self.failures.pop(0) if self.failures else None
        if failure == "refuse":
            raise self._error(change, "the device says no")
        self._check(change)
        self._set(change)
        self.applied.append(change)
        self.observe(self.config)
        if failure == "hang":
            raise self._error(change, "it did not answer within 1 s")

    def reboot(self) -> None:
        """It starts anew and has lost everything; what is not ours was saved on it."""
        self._boots += 1
        self.become(EMPTY)

    def become(self, config: SwitchConfig) -> None:
        """Somebody else makes it this, behind everybody's back, in whatever order."""
        self._vrfs = {each.name: each for each in config.vrfs.values()}
        self._segments = {each.vni: each for each in config.segments.values()}
        self._interfaces = {each.name: each for each in config.interfaces.values()}
        self._gateways = {each.key: each for each in config.gateways.values()}
        self._routes = set(config.routes)
        self._stirred.set()

    def _reach(self) -> None:
        if not self.is_reachable:
            raise DeviceError(f"Switch {self.name} does not answer.")

    def _set(self, change: Change) -> None:
        match change.element:
            case Vrf(name=name):
                _put(self._vrfs, name, change.after)
            case Segment(vni=vni):
                _put(self._segments, vni, change.after)
            case Interface(name=name):
                _put(self._interfaces, name, change.after)
            case VlanGateway() as gateway:
                _put(self._gateways, gateway.key, change.after)
            case Route():
                self._routes -= {change.before}
                if isinstance(change.after, Route):
                    self._routes.add(change.after)

    def _check(self, change: Change) -> None:
        if change.verb is not _verb(change):
            raise self._error(change, f"that is no {change.verb}")
        if (found := self._held(change.before or change.after)) != change.before:
            raise self._error(change, f"before it was {found}")
        match change.after:
            case Vrf() as vrf:
                self._check_vrf(change, vrf)
            case Segment() as segment:
                self._check_segment(change, segment)
            case Interface() as interface:
                self._check_interface(change, interface)
            case VlanGateway() | Route() as other:
                if other.vrf is not None and other.vrf not in self._vrfs:
                    raise self._error(change, f"there is no VRF {other.vrf}")
            case None:
                self._check_unused(change)

    def _held(self, element: Element | None) -> Element | None:
        match element:
            case Vrf(name=name):
                return self._vrfs.get(name)
            case Segment(vni=vni):
                return self._segments.get(vni)
            case Interface(name=name):
                return self._interfaces.get(name)
            case VlanGateway() as gateway:
                return self._gateways.get(gateway.key)
            case Route() as route:
                return route if route in self._routes else None
        raise AssertionError(element)

    def _check_vrf(self, change: Change, vrf: Vrf) -> None:
        if isinstance(change.before, Vrf) and change.before.router_id != vrf.router_id:
            raise self._error(change, "a VRF cannot become another VPC's")
        if vrf.name in self.foreign.vrfs:
            raise self._error(change, "somebody else has a VRF of that name")
        others = {each.l3vni: each.name for each in self._vrfs.values() if each.name != vrf.name}
        if vrf.l3vni is not None and (vrf.l3vni in others or vrf.l3vni in self._all_segments()):
            raise self._error(change, f"VNI {vrf.l3vni} is in use")

    def _check_segment(self, change: Change, segment: Segment) -> None:
        if isinstance(change.before, Segment):
            if change.before.network_id != segment.network_id:
                raise self._error(change, "a VNI cannot become another network's")
            if change.before.vlan != segment.vlan and segment.vni in self._carried(tagged=True):
                raise self._error(change, "interfaces are in its VLAN")
        if segment.vni in self.foreign.segments:
            raise self._error(change, "somebody else has that VNI")
        if segment.vrf is not None and segment.vrf not in self._vrfs:
            raise self._error(change, f"there is no VRF {segment.vrf}")
        if segment.vni in {vrf.l3vni for vrf in self._vrfs.values()}:
            raise self._error(change, "the VNI is a VRF's")
        for other in self._all_segments().values():
            if other.vni != segment.vni and segment.vlan and other.vlan == segment.vlan:
                raise self._error(change, f"VLAN {segment.vlan} is that of VNI {other.vni}")
            if other.vni != segment.vni and other.rd == segment.rd:
                raise self._error(change, f"RD {segment.rd} is that of VNI {other.vni}")

    def _check_interface(self, change: Change, interface: Interface) -> None:
        before = change.before if isinstance(change.before, Interface) else Interface(name="")
        for vlan, vni in interface.tagged.items():
            if before.tagged.get(vlan) != vni:
                segment = self._segments.get(vni)
                if segment is None or segment.vlan != vlan:
                    raise self._error(change, f"VNI {vni} is not VLAN {vlan} here")
        if interface.untagged not in {None, before.untagged, *self._segments}:
            raise self._error(change, f"there is no VNI {interface.untagged} here")

    def _check_unused(self, change: Change) -> None:
        match change.before:
            case Segment(vni=vni) if vni in self._carried():
                raise self._error(change, "interfaces carry it")
            case Vrf(name=name):
                inside: list[Element] = [
                    *self._segments.values(),
                    *self._gateways.values(),
                    *self._routes,
                ]
                for each in inside:
                    if not isinstance(each, Vrf | Interface) and each.vrf == name:
                        raise self._error(change, f"{title(each)} is in it")
            case _:
                pass

    def _carried(self, *, tagged: bool = False) -> set[int | None]:
        found: set[int | None] = {
            vni for each in self._interfaces.values() for vni in each.tagged.values()
        }
        return found if tagged else found | {each.untagged for each in self._interfaces.values()}

    def _all_segments(self) -> dict[int, Segment]:
        return {**self.foreign.segments, **self._segments}

    def _error(self, change: Change, why: str) -> DeviceError:
        return DeviceError(f"Switch {self.name} refused {words(change)!r}: {why}.")


def without(config: SwitchConfig, element: Element) -> SwitchConfig:
    """What is left when somebody takes an element away by hand, and all that hangs on it."""
    match element:
        case Vrf(name=name):
            return replace(
                config,
                vrfs={key: each for key, each in config.vrfs.items() if key != name},
                segments={
                    vni: replace(each, vrf=None, gateway=None) if each.vrf == name else each
                    for vni, each in config.segments.items()
                },
                gateways={key: each for key, each in config.gateways.items() if each.vrf != name},
                routes=frozenset(each for each in config.routes if each.vrf != name),
            )
        case Segment(vni=vni):
            return replace(
                config,
                segments={key: each for key, each in config.segments.items() if key != vni},
            )
        case Interface(name=name):
            return replace(
                config,
                interfaces={key: each for key, each in config.interfaces.items() if key != name},
            )
        case VlanGateway() as gateway:
            left = {key: each for key, each in config.gateways.items() if key != gateway.key}
            return replace(config, gateways=left)
        case Route() as route:
            return replace(config, routes=config.routes - {route})


def _verb(change: Change) -> Verb:
    if change.before is None:
        return Verb.ADD
    return Verb.REMOVE if change.after is None else Verb.REPLACE


def _put(held: dict, key: object, value: Element | None) -> None:  # type: ignore[type-arg]
    if value is None:
        del held[key]
    else:
        held[key] = value
