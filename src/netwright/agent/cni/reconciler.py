"""Looks for what is left of containers, now and then, and ends what is proven dead (`reconciling`).

    look ──nothing──▶ again after EVERY_S
      └──findings──▶ again after CONFIRM_S: those that are found twice are acted upon

It never works on an interface on which a verb does, and looks once more when its turn comes. What
it found is in the log, in the agent's state (SIGUSR1), and, while it stands, a condition of the
host. The server need not be there to end a container that died: the errand of `Containers` tells it
later, as after DEL.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, Protocol

import structlog

from netwright.agent.cni import made
from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Loop
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.reconciling import (
    NEXT,
    TOLD,
    Case,
    Finding,
    OnHost,
    findings,
    is_dead,
    without_veth,
)
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.wiring import Plugs
from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.model.errors import NetwrightError

EVERY_S = 10.0
CONFIRM_S = 2.0
ACT_S_MAX = 15.0
"""How long one finding is worked on; a verb may hold its interface for longer. Then again."""
AT_ONCE_MAX = 16
NAMED_MAX = 5
AGAIN = Backoff(first_s=1.0, max_s=EVERY_S)
CONDITION = "containers"
"""The host's condition that names what stands."""

log = structlog.get_logger(__name__)


class Left(Protocol):
    """What looks for veths and namespaces, and removes veths: `kernel.Kernel`, or a double."""

    async def links(self) -> Mapping[str, str]: ...
    async def namespace(self, netns: str) -> str: ...
    async def remove(self, device: str, mark: str | None = None) -> None: ...


class Reconciler:
    """`run` works until cancelled; `wake` lets it look now."""

    def __init__(
        self,
        host: str,
        *,
        loop: Loop,
        containers: Containers,
        records: Records,
        ports: Ports,
        veths: Left,
        plugs: Plugs,
        jitter: Callable[[], float],
    ) -> None:
        self.found: Counter[Case] = Counter()
        """How often this life of the agent has acted upon, or told of, each case."""
        self._host = host
        self._loop = loop
        self._containers = containers
        self._records = records
        self._ports = ports
        self._veths = veths
        self._plugs = plugs
        self._jitter = jitter
        self._suspected: frozenset[Finding] = frozenset()
        self._standing: Mapping[Finding, str] = {}
        self._errand = Errand("leaks", self.look, backoff=AGAIN, jitter=jitter)
        self._errand.wake()

    async def run(self) -> NoReturn:
        await self._errand.run()

    def wake(self) -> None:
        self._errand.wake()

    def conditions(self) -> Mapping[str, str]:
        """What stands, in words for an operator; bounded."""
        words = [f"{one.what}: {why}" for one, why in _sorted(self._standing)]
        more = [f"and {len(words) - NAMED_MAX} more"] if len(words) > NAMED_MAX else []
        return {CONDITION: "; ".join(words[:NAMED_MAX] + more)} if words else {}

    def state(self) -> Mapping[str, object]:
        stages = Counter(one.stage for one in self._records.all().values())
        return {
            "containers": {str(stage): stages[stage] for stage in Stage},
            "leaks_found": {str(case): count for case, count in sorted(self.found.items())},
            "leaks_standing": len(self._standing),
        }

    async def look(self) -> float:
        """Look once, and act upon what was found before as well; after how long to look again.

        Raises WiringError when Open vSwitch cannot be asked, OSError never.
        """
        found = await self._findings()
        confirmed = found & self._suspected
        at_once = asyncio.Semaphore(AT_ONCE_MAX)
        whys = await asyncio.gather(*(self._settle(one, at_once) for one in confirmed))
        self._standing = {
            one: why for one, why in zip(confirmed, whys, strict=True) if why is not None
        }
        self._suspected = (found - confirmed) | self._standing.keys()
        if not found <= confirmed or not self._is_in_sync():
            return CONFIRM_S
        return EVERY_S * (0.75 + self._jitter() / 2)

    # -- looking

    def _is_in_sync(self) -> bool:
        """Whether all of the server's ports for this host are known: else absence says nothing."""
        mirror = self._loop.mirror
        return mirror.complete and mirror.is_current and not mirror.broken

    async def _findings(self) -> frozenset[Finding]:
        ports = dict(self._loop.mirror.ports) if self._is_in_sync() else None
        on_host = await self._on_host()
        records, unreadable = self._records.all(), self._records.unreadable
        lacking = without_veth(records.values(), on_host.links)
        namespaces = await self._namespaces(lacking)
        on_host = OnHost(plugged=on_host.plugged, links=on_host.links, namespaces=namespaces)
        return findings(self._host, records, on_host, ports, unreadable)

    async def _on_host(self) -> OnHost:
        plugged = await self._plugs.plugged()
        try:
            return OnHost(plugged=plugged, links=await self._veths.links())
        except OSError as error:
            raise _Refused(f"The host does not list its links: {error}.") from error

    async def _namespaces(self, records: Iterable[Record]) -> Mapping[Key, str]:
        found: dict[Key, str] = {}
        for record in records:
            try:
                found[record.key] = await self._veths.namespace(record.netns)
            except OSError as error:
                log.warning("namespace is not told", path=record.netns, why=str(error))
        return found

    # -- acting

    async def _settle(self, finding: Finding, at_once: asyncio.Semaphore) -> str | None:
        """Act upon a finding; why it stands nevertheless, None when it does not."""
        why: str | None
        if finding.case in TOLD:
            why = f"{finding.case}. {NEXT[finding.case]}"
        else:
            try:
                async with at_once, asyncio.timeout(ACT_S_MAX):
                    if not await self._act(finding):
                        return None  # it is so no more
                why = None
            except (NetwrightError, OSError, TimeoutError) as error:
                said = str(error) or "it is still worked on for a request, or the server is away"
                why = f"{finding.case}, and cannot be ended: {said}"
        if self._standing.get(finding) != why or why is None:
            self._tell(finding, why)
        return why

    def _tell(self, finding: Finding, why: str | None) -> None:
        container_id, ifname = finding.key
        fields = {
            "container": container_id,
            "ifname": ifname,
            "device": finding.device,
            "port": finding.port_id,
            "why": why,
        }
        self.found[finding.case] += 1
        log.warning(
            "leak",
            case=str(finding.case),
            done="nothing" if why else _DONE[finding.case],
            **{name: value for name, value in fields.items() if value},
        )

    async def _act(self, finding: Finding) -> bool:
        match finding.case:
            case Case.DEAD:
                return await self._end_dead(finding.key)
            case Case.UNPLUGGED:
                record = self._records.get(finding.key)
                return record is not None and await self._containers.plug_again(record)
            case Case.UNRECORDED:
                return await self._make_record(finding)
            case Case.STRAY:
                return await self._remove(finding)
            case Case.PORT:
                return await self._end_port(finding)
            case Case.UNREADABLE:
                self._records.drop(finding.key)
        return True

    async def _end_dead(self, key: Key) -> bool:
        record = self._records.get(key)
        if record is None:
            return False

        async def still() -> bool:
            links = await self._veths.links()
            return bool(without_veth([record], links)) and is_dead(
                record, await self._veths.namespace(record.netns)
            )

        return await self._containers.end_dead(record, still)

    async def _make_record(self, finding: Finding) -> bool:
        """The container is known again: DEL ends it, and CHECK looks at it."""
        mirror = self._loop.mirror
        port = mirror.ports.get(finding.port_id)
        network = mirror.networks.get(port.network_id) if port is not None else None
        if port is None or network is None or port.unique_name is None:
            return False
        fit = made.fitting(port, network, mirror.subnets, default_route=True)
        if fit is None:
            return False
        container_id, ifname = finding.key
        record = Record(
            container_id=container_id,
            ifname=ifname,
            netns="",
            network="",
            project_id=port.project_id,
            unique_name=port.unique_name,
            stage=Stage.ATTACHED,
            port_id=port.id,
            fit=fit,
        )
        return await self._containers.take_up(record)

    async def _remove(self, finding: Finding) -> bool:
        """By its marks: whatever comes under that name meanwhile is not touched."""
        container_id, ifname = finding.key
        if any(
            one.fit and one.fit.device == finding.device for one in self._records.all().values()
        ):
            return False
        if ifname:
            await self._plugs.unplug(finding.device, owner=f"{container_id}@{ifname}")
        await self._veths.remove(finding.device, mark=made.mark_of(container_id))
        return True

    async def _end_port(self, finding: Finding) -> bool:
        port = self._loop.mirror.ports.get(finding.port_id)
        if port is None or port.unique_name is None:
            return False
        for one in self._records.all().values():  # nothing is waited for between this and `end`
            if one.container_id == port.device_id and one.port_id in {"", port.id}:
                return False
        attempt = port.claim.attempt if port.claim is not None else 0
        await self._ports.end(port.project_id, port.unique_name, port.device_id, attempt)
        return True


class _Refused(NetwrightError):
    """The kernel does not answer."""


_DONE: Mapping[Case, str] = {
    Case.DEAD: "ended as by DEL",
    Case.UNPLUGGED: "plugged again",
    Case.UNRECORDED: "its record is made anew",
    Case.STRAY: "removed",
    Case.PORT: "ended at the server",
    Case.UNREADABLE: "removed",
}


def _sorted(standing: Mapping[Finding, str]) -> list[tuple[Finding, str]]:
    return sorted(standing.items(), key=lambda item: item[0].what)
