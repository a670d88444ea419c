"""A host's containers without kernel, Open vSwitch or server: the real `Containers` on doubles."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from tests.doubles.values import binding, network, port

from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Following
from netwright.agent.cni.made import Fitting, Seen
from netwright.agent.cni.namespaces import NamespaceGoneError, NamespaceUnfitError
from netwright.agent.cni.pairs import InterfaceExistsError
from netwright.agent.cni.pods import Pod, PodSource, PodUnknownError
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.reconciler import Reconciler
from netwright.agent.cni.records import Records
from netwright.agent.desired import Desired
from netwright.agent.groups import NO_GROUPS
from netwright.agent.reconcile import Pass
from netwright.agent.wiring import (
    Endpoint,
    NewDevice,
    Outcome,
    Plugged,
    Wired,
    WiringError,
    WiringStatus,
)
from netwright.client.mirror import Key
from netwright.cni.protocol import Request
from netwright.model.container_errors import NoSlotFree
from netwright.model.containers import SLOT, Claim
from netwright.model.errors import (
    HTTP_STATUS,
    NetwrightError,
    PortNotFound,
    UniqueNameConflict,
)
from netwright.model.resources import (
    FixedIp,
    Network,
    NetworkType,
    Port,
    Segment,
    Subnet,
    VifType,
)
from netwright.model.wire import (
    CONTAINER_OWNER,
    ContainerPort,
    ContainerPortOutcome,
    ContainerPortOutcomes,
    ContainerPorts,
    EndedContainerPort,
    EndedContainerPorts,
    ItemError,
)

HOST, PROJECT, EPOCH = "h1", "pods", "e1"
UP = Outcome(status=WiringStatus.UP)
SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=7)


def subnet(subnet_id: str = "sub-1", cidr: str = "10.0.0.0/24", **fields: Any) -> Subnet:
    defaults: dict[str, Any] = {
        "network_id": "net-1",
        "project_id": "p",
        "ip_version": 6 if ":" in cidr else 4,
        "gateway_ip": cidr.partition("/")[0].removesuffix("0") + "1",
        "allocation_pools": (),
        "created_at": 0.0,
        "updated_at": 0.0,
    }
    return Subnet(id=subnet_id, cidr=cidr, **(defaults | fields))


class ServerDouble:
    """Ports by unique name, also kept ones, which no container has.

    `failure` answers whole requests, `refused` items by their labels. New ports are in `moved`'s
    network, if it names one.
    """

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self.keeps: dict[str, str] = {}
        self.requests: list[ContainerPorts | EndedContainerPorts] = []
        self.failure: NetwrightError | None = None
        self.refused: dict[str, NetwrightError] = {}
        self.binding_cause = ""
        self.moved = ""
        self.answers = asyncio.Event()
        self.answers.set()
        self.made: Callable[[Port], None] = lambda _port: None
        self.ended: Callable[[Port], None] = lambda _port: None
        self._count = 0

    async def make_container_ports(
        self, host: str, wanted: ContainerPorts
    ) -> ContainerPortOutcomes:
        await self._asked(host, wanted)
        return ContainerPortOutcomes(outcomes=tuple(map(self._make, wanted.ports)))

    async def end_container_ports(
        self, host: str, ended: EndedContainerPorts
    ) -> ContainerPortOutcomes:
        await self._asked(host, ended)
        assert not ended.unique_names, "a container's end is told with its id"
        return ContainerPortOutcomes(outcomes=tuple(map(self._end, ended.ended)))

    async def _asked(self, host: str, request: ContainerPorts | EndedContainerPorts) -> None:
        assert (host, request.epoch, request.project_id) == (HOST, EPOCH, PROJECT)
        self.requests.append(request)
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure

    def _make(self, wanted: ContainerPort) -> ContainerPortOutcome:
        if (refused := self.refused.get(wanted.network_labels)) is not None:
            return _error(refused)
        if wanted.slots:
            return self._make_slot(wanted)
        held = self.ports.get(wanted.unique_name)
        if held is None:
            return ContainerPortOutcome(port=self._new(wanted))
        if held.device_id and held.device_id not in {wanted.device_id, wanted.replaces}:
            return _error(UniqueNameConflict(f"{wanted.unique_name} is {held.device_id}'s"))
        is_its = held.device_id == wanted.device_id
        generation = held.generation if is_its else held.generation + 1
        taken = replace(
            held,
            device_id=wanted.device_id,
            bindings=(binding(HOST, generation=generation),),
            generation=generation,
            claim=_claimed(wanted, held.claim),
        )
        self.ports[wanted.unique_name] = taken
        self.made(taken)
        return ContainerPortOutcome(port=taken)

    def _make_slot(self, wanted: ContainerPort) -> ContainerPortOutcome:
        names = [wanted.unique_name.replace(SLOT, str(n)) for n in range(wanted.slots)]
        of = {name: one.device_id if (one := self.ports.get(name)) else "" for name in names}
        own = [name for name in names if of[name] in {wanted.device_id, wanted.replaces} - {""}]
        for name in [*own, *(name for name in names if not of[name])]:
            return self._make(replace(wanted, unique_name=name, slots=0))
        return _error(NoSlotFree("taken"))

    def _new(self, wanted: ContainerPort) -> Port:
        self._count += 1
        bound = binding(HOST)
        if self.binding_cause:
            bound = replace(bound, vif_type=VifType.BINDING_FAILED, cause=self.binding_cause)
        new = port(
            wanted.port_id or f"port-{self._count}-00000000",
            bound,
            unique_name=wanted.unique_name,
            name=wanted.name,
            device_id=wanted.device_id,
            device_owner=CONTAINER_OWNER,
            fixed_ips=(FixedIp(subnet_id="sub-1", ip_address=f"10.0.0.{self._count + 4}"),),
        )
        network_id = self.moved or new.network_id
        claimed = _claimed(wanted, None)
        new = replace(new, project_id=PROJECT, claim=claimed, network_id=network_id)
        self.ports[wanted.unique_name] = new
        self.keeps[wanted.unique_name] = wanted.keep
        self.made(new)
        return new

    def _end(self, ended: EndedContainerPort) -> ContainerPortOutcome:
        name = ended.unique_name
        port = self.ports.get(name)
        newer = port is not None and port.claim is not None and port.claim.attempt > ended.attempt
        if port is None or port.device_id != ended.container_id or newer:
            return _error(PortNotFound(f"no port {name} of {ended.container_id}"))
        if self.keeps[name]:
            self.ports[name] = replace(port, device_id="", bindings=())
        else:
            del self.ports[name]
        self.ended(port)
        return ContainerPortOutcome()


def _claimed(wanted: ContainerPort, before: Claim | None) -> Claim | None:
    if not (wanted.keep or before):
        return None
    is_its = before is not None and before.container_id == wanted.device_id
    heard = before.attempt if before is not None and is_its else 0
    attempt = max(wanted.attempt, heard)
    return Claim(container_id=wanted.device_id, host=HOST, keep=wanted.keep, attempt=attempt)


def _error(error: NetwrightError) -> ContainerPortOutcome:
    status = HTTP_STATUS[error.category]
    item = ItemError(status=status, type=error.type, message=error.message, next=error.next)
    return ContainerPortOutcome(error=item)


class VethsDouble:
    """Interfaces by (netns, name); a namespace is there when it is in `namespaces`."""

    def __init__(self, calls: list[str]) -> None:
        self.namespaces = {"/netns/a", "/netns/b"}
        self.interfaces: dict[tuple[str, str], Fitting] = {}
        self.marks: dict[str, str] = {}
        self.identities: dict[str, str] = {}
        self.foreign: set[tuple[str, str]] = set()
        self.unfit: set[str] = set()
        self.failure: OSError | None = None
        self.late_failure: OSError | None = None
        self.gates: dict[str, asyncio.Event] = {}
        self.furnished = asyncio.Event()
        self.furnished.set()
        self._calls = calls

    @asynccontextmanager
    async def pair(
        self, fit: Fitting, netns: str, ifname: str, mark: str
    ) -> AsyncIterator["PairDouble"]:
        yield PairDouble(self, fit, (netns, ifname), mark)

    def make(self, fit: Fitting, at: tuple[str, str], mark: str) -> None:
        self._calls.append(f"make {fit.device}")
        if at[0] not in self.namespaces:
            raise NamespaceGoneError(at[0])
        if at[0] in self.unfit:
            raise NamespaceUnfitError(f"{at[0]} is the host's own network namespace")
        if at in self.foreign or at in self.interfaces:
            raise InterfaceExistsError(at[1])
        self.interfaces[at] = fit
        self.marks[fit.device] = mark
        if self.failure is not None:
            raise self.failure

    async def read(self, netns: str, ifname: str) -> Seen | None:
        if netns not in self.namespaces:
            raise NamespaceGoneError(netns)
        fit = self.interfaces.get((netns, ifname))
        if fit is None:
            return None
        return Seen(
            mac_address=fit.mac_address,
            mtu=fit.mtu,
            is_up=True,
            addresses=frozenset(one.address for one in fit.addresses),
            ways=frozenset(fit.ways),
        )

    async def remove(self, device: str, mark: str | None = None) -> None:
        self._calls.append(f"remove {device}")
        if mark in {None, self.marks.get(device)}:
            self.interfaces = {k: one for k, one in self.interfaces.items() if one.device != device}
            self.marks.pop(device, None)

    async def links(self) -> Mapping[str, str]:
        return dict(self.marks)

    async def namespace(self, netns: str) -> str:
        if netns not in self.namespaces:
            return ""
        return self.identities.get(netns, f"the first at {netns}")

    def end(self, netns: str, *, again: bool = False) -> None:
        """A namespace ends, and its interfaces with it; perhaps another is there afterwards."""
        self.namespaces.discard(netns)
        gone = {key: fit for key, fit in self.interfaces.items() if key[0] == netns}
        for key, fit in gone.items():
            del self.interfaces[key]
            self.marks.pop(fit.device, None)
        if again:
            self.namespaces.add(netns)
            self.identities[netns] = f"another at {netns}"


class PairDouble:
    """One in the making. `gate` is open when the port is wired."""

    def __init__(self, veths: VethsDouble, fit: Fitting, at: tuple[str, str], mark: str) -> None:
        self._veths = veths
        self._fit = fit
        self._at = at
        self._mark = mark
        self._in = ""
        self.gate = asyncio.Event()

    async def made(self) -> None:
        self._veths.make(self._fit, self._at, self._mark)
        self._veths.gates[self._fit.device] = self.gate
        self._in = await self._veths.namespace(self._at[0])

    def furnish(self, fit: Fitting) -> None:
        self._fit = fit
        self.gate.set()

    async def furnished(self) -> str:
        await self._veths.furnished.wait()
        if self._veths.late_failure is not None:
            raise self._veths.late_failure
        await self.gate.wait()
        netns, _ = self._at
        there = self._veths.interfaces.get(self._at)
        is_there = there is not None and there.device == self._fit.device
        if not is_there or await self._veths.namespace(netns) != self._in:
            raise NamespaceGoneError(netns)
        self._veths.interfaces[self._at] = self._fit
        return self._in

    async def end(self) -> None:
        """It has no thread."""


class PodsDouble:
    """Kubernetes' pods by namespace and name; `answers` lets them be told of."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = {(one.namespace, one.name): one for one in pods}
        self.answers = asyncio.Event()
        self.answers.set()

    async def pod(self, namespace: str, name: str, uid: str) -> Pod:
        await self.answers.wait()
        found = self.pods.get((namespace, name))
        if found is None or uid not in {"", found.uid}:
            raise PodUnknownError(f"Kubernetes has no pod {namespace}/{name} of uid {uid!r}")
        return found

    def trouble(self) -> str:
        return "" if self.answers.is_set() else "kube-apiserver is away"


class MirrorDouble:
    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self.networks: dict[str, Network] = {"net-1": network()}
        self.subnets: dict[str, Subnet] = {"sub-1": subnet()}
        self.complete = self.is_current = True
        self.broken: Mapping[Key, str] = {}


class LoopDouble:
    """The agent's loop: what it has found is what a test says."""

    def __init__(self) -> None:
        self.mirror = MirrorDouble()
        self.last: Pass | None = None
        self.troubles = {"server": "", "wiring": ""}

    def server_trouble(self) -> str:
        return self.troubles["server"]

    def wiring_trouble(self) -> str:
        return self.troubles["wiring"]

    def found(self, outcomes: Mapping[str, Outcome]) -> None:
        self.last = Pass(
            cursor="1",
            ports=dict(self.mirror.ports),
            networks={},
            attachments={},
            known=NO_GROUPS,
            desired=Desired(endpoints=self._endpoints(outcomes)),
            was_swept=True,
            wired=Wired(outcomes=outcomes),
            stated={},
        )

    def _endpoints(self, wired: Mapping[str, Outcome]) -> Mapping[str, Endpoint]:
        known = self.mirror.ports
        return {
            id_: Endpoint(
                port_id=id_,
                network_id=known[id_].network_id,
                segment=SEGMENT,
                mac_address=known[id_].mac_address,
            )
            for id_ in wired
            if id_ in known
        }


class PlugsDouble:
    """What is plugged is wired at once, unless `outcome` says otherwise."""

    def __init__(self, host: "HostDouble", calls: list[str]) -> None:
        self.devices: dict[str, NewDevice] = {}
        self.outcome = UP
        self.failure: WiringError | None = None
        self._host = host
        self._calls = calls

    async def plug(self, device: NewDevice) -> None:
        self._calls.append(f"plug {device.name}")
        if self.failure is not None:
            raise self.failure
        self.devices[device.name] = device
        self._host.look()

    async def unplug(self, name: str, owner: str | None = None) -> None:
        self._calls.append(f"unplug {name}")
        if self.failure is not None:
            raise self.failure
        if name in self.devices and owner in {None, self.devices[name].owner}:
            del self.devices[name]
            self._host.look()

    async def plugged(self) -> Mapping[str, Plugged]:
        return {
            name: Plugged(port_id=one.port_id, owner=one.owner)
            for name, one in self.devices.items()
        }


class HostDouble:
    """All of it. `live` begins another life of the agent on what is there."""

    def __init__(self, directory: Path, pods: PodSource | None = None) -> None:
        self.pods = pods
        self.calls: list[str] = []
        self.server = ServerDouble()
        self.server.made = self._told
        self.server.ended = self._told_of_end
        self.veths = VethsDouble(self.calls)
        self.loop = LoopDouble()
        self.plugs = PlugsDouble(self, self.calls)
        self.registered = asyncio.Event()
        self.registered.set()
        self.directory = directory
        self.live()

    def live(self) -> Containers:
        self.records = self.open_records()
        self.following = Following(HOST, self.loop)
        ports = Ports(
            host=HOST,
            epoch=EPOCH,
            project_id=PROJECT,
            server=self.server,
            registered=self.registered.wait,
        )
        self.containers = Containers(
            HOST,
            ports=ports,
            records=self.records,
            following=self.following,
            veths=self.veths,
            plugs=self.plugs,
            jitter=lambda: 0.5,
            pods=self.pods,
            attempts=self.attempts,
        )
        self.reconciler = Reconciler(
            HOST,
            loop=self.loop,
            containers=self.containers,
            records=self.records,
            ports=ports,
            veths=self.veths,
            plugs=self.plugs,
            jitter=lambda: 0.5,
        )
        return self.containers

    def attempts(self) -> int:
        return 1

    def open_records(self) -> Records:
        return Records(self.directory)

    def look(self) -> None:
        """The agent's loop makes a pass."""
        wired = {each.port_id: self.plugs.outcome for each in self.plugs.devices.values()}
        self.loop.found(wired)
        self.containers.passed()

    def is_empty(self) -> bool:
        """Whether nothing of any container is left, here or at the server."""
        left = (
            self.server.ports,
            self.veths.interfaces,
            self.plugs.devices,
            self.records.all(),
            list(self.directory.iterdir()),
        )
        return not any(left)

    def _told(self, new: Port) -> None:
        self.loop.mirror.ports[new.id] = new
        self.look()

    def _told_of_end(self, port: Port) -> None:
        self.loop.mirror.ports.pop(port.id, None)


class Ask(NamedTuple):
    """A request; what a test does not say is in order."""

    verb: str = "ADD"
    version: str = "1.1.0"
    environment: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}
    without: tuple[str, ...] = ()
    deadline_ms: int = 60_000

    def request(self) -> Request:
        given = {"container_id": "a", "netns": "/netns/a", "ifname": "eth0", **self.environment}
        config = {"cniVersion": self.version, "name": "pods", "type": "netwright"}
        config |= {"labels": "env=prod", **self.config}
        for key in self.without:
            config.pop(key)
        raw = msgspec.Raw(msgspec.json.encode(config))
        return Request(command=self.verb, deadline_ms=self.deadline_ms, config=raw, **given)
