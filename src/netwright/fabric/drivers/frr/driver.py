"""The driver `frr`: a thread a switch, so that the controller's event loop never waits for one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, TypeVar

import structlog

from netwright.fabric.changes import Change
from netwright.fabric.config import Segment, Vrf
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.drivers.bpf.kernel import Map
from netwright.fabric.drivers.frr import (
    lost_neighbours,
    observing,
    planning,
    reading,
    router_macs,
    settling,
    shows,
    watching,
)
from netwright.fabric.drivers.frr.carrying_out import Workshop
from netwright.fabric.drivers.frr.planned import PlanError
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.frr.vty import VtyError
from netwright.fabric.drivers.linux import tokens
from netwright.fabric.drivers.linux.node import Node
from netwright.fabric.drivers.wording import element_words
from netwright.linux.netlink import RefusedError
from netwright.model.errors import DeviceError
from netwright.reasons import reason

log = structlog.get_logger(__name__)

T = TypeVar("T")

Turn: TypeAlias = Callable[[], AbstractContextManager[None]]


class FrrDriver:
    """`loopback` is the address of the switch's VTEP.

    Each change, and each reading, is done within a `turn`, together with the look at the token.
    What raises DeviceError there ends a call between two changes.
    """

    def __init__(self, name: str, node: Node, loopback: str, *, turn: Turn = nullcontext) -> None:
        self._name = name
        self._node = node
        self._loopback = loopback
        self._turn = turn
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"switch-{name}")
        self._token = 0
        self._router_macs = router_macs.Healer()
        self._neighbours = lost_neighbours.Healer()
        self._refused: dict[str, str] = {}
        """Why which repair was not possible when it was tried last; "": it was."""
        self._maps: dict[str, Map] = {}
        """What the watch looks at each second; open maps keep no namespace alive."""

    async def read(self) -> Actual:
        return await self._run(self._read)

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        await self._run(lambda session: self._apply(session, changes, token))

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        return await self._run(lambda session: self._learned(session, vnis))

    async def watch(self) -> AsyncIterator[None]:
        """Events of the kernel at once, what FRR is told by others within a second."""

        async def look() -> watching.Fingerprint:
            return await self._run(self._look)

        async def listen() -> socket.socket:
            return await self._run(watching.listener)

        async for _ in watching.watch(look, listen):
            yield

    async def close(self) -> None:
        self._thread.submit(self._forget_maps)
        self._thread.shutdown(wait=False)

    def _read(self, session: Session) -> Actual:
        self._forget_maps()
        with self._turn():
            boot_id = session.node.boot_id()
            observed, held = observing.observe(session), observing.held(session)
        return Actual(
            config=reading.config(observed, held, self._loopback),
            links={
                link.name: link.is_up and link.has_carrier
                for link in observed.own.links.values()
                if link.name != "lo" and not link.name.startswith("nw") and link.kind != "bridge"
            },
            boot_id=boot_id,
            isolation=reading.isolation(observed),
            lost_sessions=reading.lost_sessions(observed),
            is_partial=bool(observed.silent),
            token=session.token(),
        )

    def _apply(self, session: Session, changes: Sequence[Change], token: int) -> None:
        self._forget_maps()
        with self._turn():
            self._hold_token(session, token)
        if not changes:
            return
        observed = observing.observe(session)
        workshop = Workshop(session, observed)
        state = planning.Plan(observed, observing.held(session), self._loopback)
        for change in changes:
            try:
                with self._turn():
                    self._hold_token(session, token)
                    for operation in planning.operations(state, change):
                        workshop.do(operation)
            except (OSError, PlanError) as error:
                raise DeviceError(
                    f"switch {self._name}, {element_words(change)}: {error}. What stands now is "
                    "read back; the change is tried again."
                ) from error
        with self._turn():
            self._hold_token(session, token)
            for operation in planning.sweep(state):
                workshop.do(operation)
        segments, vrfs = _expected(changes)
        try:
            settling.settle(session, segments, vrfs)
        except TimeoutError as error:
            raise DeviceError(
                f"switch {self._name}: {error}. What stands now is read back; the change is tried "
                "again."
            ) from error

    def _hold_token(self, session: Session, token: int) -> None:
        """Raises OvertakenError when the switch has seen a higher one."""
        tokens.hold(session.netlink(""), token, self._name)
        self._token = token

    def _learned(self, session: Session, vnis: Sequence[int]) -> Mapping[int, Learned]:
        in_force = shows.vnis_in_force(session.vty("bgpd").ask(shows.SHOW_VNIS))
        vteps = shows.remote_vteps(session.vty("zebra").ask(shows.SHOW_EVPN))
        return {
            vni: Learned(
                vni=vni,
                rd=in_force[vni].rd,
                export_targets=frozenset(in_force[vni].targets.exports),
                import_targets=frozenset(in_force[vni].targets.imports),
                remote_vteps=vteps.get(vni, frozenset()),
            )
            for vni in vnis
            if vni in in_force
        }

    def _look(self, session: Session) -> watching.Fingerprint:
        """Each second. What FRR lost is repaired only by the controller that wrote last."""
        if self._token and session.token() == self._token:
            self._repair(session)
        if not self._maps:
            session.maps(observing.filters(session))
            self._maps = session.hand_over_maps()
        return watching.fingerprint(session, self._maps)

    def _repair(self, session: Session) -> None:
        with self._turn():
            vrfs = self._attempt("next hops of transit VNIs", self._router_macs.look, session)
            interfaces = self._attempt("neighbours", self._neighbours.look, session)
        if vrfs:
            what = "FRR had lost next hops of transit VNIs; put back"
            log.warning(what, switch=self._name, vrfs=vrfs)
        if interfaces:
            log.warning(
                "FRR had lost neighbours; their interfaces taken down and up",
                switch=self._name,
                interfaces=interfaces,
            )

    def _attempt(
        self, what: str, look: Callable[[Session], list[str]], session: Session
    ) -> list[str]:
        """A look goes on without a repair that is refused; the log has it until it is another.

        Who does not answer raises OSError, as for all else that a look asks.
        """
        why = ""
        found: list[str] = []
        try:
            found = look(session)
        except (RefusedError, VtyError, ValueError) as error:
            why = str(error)
        if why and why != self._refused.get(what):
            log.warning(
                "What FRR may have lost is not put back; tried again at each look",
                switch=self._name,
                what=what,
                why=why,
            )
        self._refused[what] = why
        return found

    def _forget_maps(self) -> None:
        """Others may have come: only `apply` and a boot make them."""
        for map_ in self._maps.values():
            map_.close()
        self._maps = {}

    async def _run(self, work: Callable[[Session], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _do(self, work: Callable[[Session], T]) -> T:
        """In the switch's thread; whatever goes wrong with the switch is a DeviceError."""
        try:
            with Session(self._node, self._loopback) as session:
                return work(session)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"switch {self._name} does not answer {self._node.where}: {reason(error)}. "
                "Is it running, and its address in the inventory right?"
            ) from error


def _expected(changes: Sequence[Change]) -> tuple[dict[int, Segment | None], dict[str, Vrf]]:
    """What the daemons shall show after these: segments by VNI (None: gone), VRFs by name."""
    segments: dict[int, Segment | None] = {}
    vrfs: dict[str, Vrf] = {}
    for change in changes:
        if isinstance(change.before, Segment):
            segments[change.before.vni] = None
        if isinstance(change.before, Vrf):
            vrfs.pop(change.before.name, None)
        if isinstance(change.after, Segment):
            segments[change.after.vni] = change.after
        if isinstance(change.after, Vrf):
            vrfs[change.after.name] = change.after
    broken = [vni for vni, each in segments.items() if each is not None and not each.rd]
    return {vni: each for vni, each in segments.items() if vni not in broken}, vrfs
