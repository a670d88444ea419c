"""The preset `evpn` with all of Netwright running, for tests: what they make, ask and wait for."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec.structs import replace

from netwright.client.api import Client
from netwright.client.mirror import Mirror
from netwright.client.networking import Collection, Networking, Resource
from netwright.lab import (
    convergence,
    down,
    fabric_state,
    faults,
    netns,
    processes,
    spec,
    start,
    up,
)
from netwright.lab.errors import LabError
from netwright.lab.nodes import frr, vty
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.spec import MANAGEMENT_NODE, Spec
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.resources import Attachment, Host, Value
from netwright.model.states import AttachmentState
from netwright.model.topology import Topology
from netwright.model.wire import Kind, LineType

T = TypeVar("T", bound=Value)

SETTLED_S = 45.0
"""Until all is well after a fault; a rebooted leaf may wait 60 s only if its peers are dead."""

STATES = (Kind.SWITCH, Kind.ATTACHMENT, Kind.HOST, Kind.PORT)


class Evpn:
    """A lab of the preset, with server, agents and fabric controller."""

    def __init__(self, nova: Orchestrator) -> None:
        self.nova = nova
        self.lab: Lab = nova.lab

    # What there is

    def told(self) -> Mirror:
        """The server's word on switches, attachments, hosts and ports."""
        return self.nova.ask(lambda client: client.snapshot(STATES))

    def switch(self, name: str) -> Mapping[str, Any]:
        """As `GET /v1/switches/NAME` has it."""
        return self.nova.ask(lambda client: client.switch(name))

    def host(self, name: str) -> Host:
        return self.nova.ask(lambda client: client.host(name))

    def status(self, one: Spawned) -> str:
        return str({port["id"]: port["status"] for port in self.nova.ports()}[one.instance.id])

    def vni(self, network: str) -> int:
        return int(self.nova.network(network)["provider:segmentation_id"])

    def attachment(self, network: str, host: str) -> Attachment | None:
        subject = f"{self.nova.network(network)['id']}@{host}"
        return fabric_state.attachments(self.nova).get(subject)

    def vlan(self, network: str, host: str) -> int:
        """The network's VLAN below the leaves of a host."""
        attachment = self.attachment(network, host)
        assert attachment is not None
        assert attachment.vlan is not None
        return attachment.vlan

    def leaf_in_use(self, host: str) -> str:
        """The leaf that a host's bond sends to."""
        return fabric_state.port_in_use(self.lab, host).node

    def has_left(self, leaf: str, host: str) -> bool:
        """Whether a host's bond sends to another leaf; not while it sends to none, in between."""
        with suppress(LabError):
            return self.leaf_in_use(host) != leaf
        return False

    def has_vni(self, leaf: str, vni: int) -> bool:
        return str(vni) in self.vty(leaf, "zebra", "show evpn vni")

    def vtep_of(self, leaf: str, network: str, one: Spawned) -> str:
        """Behind which other VTEP a leaf has a MAC; "" when behind none."""
        show = f"show evpn mac vni {self.vni(network)} mac {one.instance.mac}"
        _, _, after = self.vty(leaf, "zebra", show).partition("Remote VTEP: ")
        return after.split()[0] if after else ""

    def amiss(self) -> list[str]:
        """What is not well: attachments, switches, hosts, in words."""
        told = self.told()
        switches: Mapping[str, SwitchState] = told.of(Kind.SWITCH)
        return [
            *(
                f"{one.network_id}@{one.host} {one.state} {one.cause}"
                for one in told.attachments.values()
                if one.state is not AttachmentState.UP
            ),
            *(
                f"{one.name} {one.status} {one.cause} {one.drift}"
                for one in switches.values()
                if one.status is not SwitchStatus.IN_SYNC or one.drift
            ),
            *(
                f"{one.name} {one.state} {dict(one.conditions)}"
                for one in told.hosts.values()
                if one.conditions or one.state != "up"
            ),
            *(
                f"port {one.name} {one.state}"
                for one in told.ports.values()
                if one.state not in {"ACTIVE", "ALLOCATED"}
            ),
        ]

    # What is done

    def create_network(
        self, name: str, *cidrs: str, labels: Mapping[str, str] = MappingProxyType({})
    ) -> Resource:
        """A VXLAN network without gateways, for there is no router."""
        segment = {"provider:network_type": "vxlan", "labels": dict(labels)}

        async def work(client: Client) -> Resource:
            api = Networking(client)
            network = await api.create(Collection.NETWORKS, {"name": name, **segment})
            for cidr in cidrs:
                version = 6 if ":" in cidr else 4
                subnet = {"network_id": network["id"], "ip_version": version, "cidr": cidr}
                await api.create(Collection.SUBNETS, {**subnet, "gateway_ip": None})
            return network

        return self.nova.ask(work)

    def delete_network(self, name: str) -> None:
        network_id = str(self.nova.network(name)["id"])
        self.nova.ask(lambda client: Networking(client).delete(Collection.NETWORKS, network_id))

    def spawn(self, network: str, **places: str) -> list[Spawned]:
        """Instances by name on their hosts, all ACTIVE."""
        made = self.nova.spawn(Wanted(name, host, network) for name, host in places.items())
        refused = [why for one in made if (why := self.nova.refusal(one))]
        assert not refused, refused
        self.nova.await_status(made)
        return made

    def set_topology(self, change: Callable[[Topology], Topology]) -> None:
        async def work(client: Client) -> None:
            await client.replace_topology(change(await client.topology()))

        self.nova.ask(work)

    def inside(self, node: str, *argv: str) -> str:
        return processes.run(self.lab.namespace(node), list(argv))

    def vty(self, node: str, daemon: str, *commands: str) -> str:
        """What an operator does by hand, at a daemon's own socket."""
        return vty.ask(frr.vty_path(self.lab, node, daemon), "enable", *commands)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`netwright …` on the management node."""
        argv = [str(Path(sys.executable).with_name("netwright")), *arguments]
        environment = {**os.environ, **start.client_environment(self.lab)}
        return netns.run_in(
            self.lab.namespace(MANAGEMENT_NODE),
            lambda: subprocess.run(
                argv, text=True, capture_output=True, check=False, timeout=60, env=environment
            ),
        )

    def await_well(self, within_s: float = SETTLED_S) -> float:
        """Seconds until nothing is amiss, and the fabric has converged."""
        began = time.monotonic()
        amiss: list[str] = ["nothing was asked"]

        def is_well() -> bool:
            with suppress(NetwrightError):  # the server may be what was killed
                amiss[:] = self.amiss()
            return not amiss

        assert eventually(is_well, within_s), amiss
        convergence.await_converged(self.lab)
        return time.monotonic() - began

    @contextmanager
    def watching(self, *kinds: Kind) -> Iterator["Watching"]:
        """Everything that the server says of these kinds meanwhile."""
        watching = Watching(self.nova, kinds or STATES)
        try:
            yield watching
        finally:
            watching.stop()


class Watching:
    """A watch of the server that forgets nothing; it began before this was made."""

    def __init__(self, nova: Orchestrator, kinds: Sequence[Kind]) -> None:
        self._said: list[tuple[float, Kind, str, Any]] = []
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_live = False
        self._thread = threading.Thread(target=self._run, args=(nova, kinds))
        self._thread.start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_live, 10.0), "the watch did not begin"

    def await_value(self, type_: type[T], is_it: Callable[[T], bool], within_s: float) -> T:
        """The first value that is so, of those said since the watch began."""
        found: list[T] = []

        def said() -> bool:
            found[:] = [one for *_, one in self._said if isinstance(one, type_) and is_it(one)]
            return bool(found)

        with self._changed:
            in_time = self._changed.wait_for(said, within_s)
            last = [str(one) for *_, one in self._said if isinstance(one, type_)][-5:]
        assert in_time, f"not said within {within_s} s; the last: {last}"
        return found[0]

    def values(self, type_: type[T]) -> list[tuple[float, T]]:
        """What was said, and when (time.monotonic)."""
        with self._changed:
            return [(at, one) for at, *_, one in self._said if isinstance(one, type_)]

    def stop(self) -> None:
        assert self._loop is not None
        assert self._task is not None
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _run(self, nova: Orchestrator, kinds: Sequence[Kind]) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await nova_watch()

        async def nova_watch() -> None:
            token = nova.token_file.read_text().strip()
            async with Client(nova.server, token=token) as client:
                mirror = Mirror()
                async for lines in client.watch(kinds, None, None):
                    for line in lines:
                        changed = mirror.feed(line)
                        self._note(mirror, line.type, changed)

        with suppress(asyncio.CancelledError, NetwrightError):
            netns.run_in(nova.lab.namespace(MANAGEMENT_NODE), lambda: asyncio.run(main()))

    def _note(self, mirror: Mirror, type_: LineType, changed: Any) -> None:
        with self._changed:
            if type_ is LineType.SNAPSHOT_END:
                self._is_live = True
            elif self._is_live:
                now = time.monotonic()
                for key in changed or ():
                    value = mirror.of(key.kind).get(key.id)
                    if value is not None:
                        self._said.append((now, key.kind, key.id, value))
            self._changed.notify_all()


def small(hosts: int, *, leaf_pairs: int = 1) -> Spec:
    """The preset's fabric with one spine, these hosts, and nothing beside them."""
    whole = spec.preset("evpn", hosts=hosts)
    assert whole.fabric is not None
    return replace(
        whole,
        fabric=replace(whole.fabric, spines=1, leaf_pairs=leaf_pairs, borders={}),
        **{part: {} for part in ("networks", "routers", "switches", "provider_hosts", "baremetal")},
    )


@contextmanager
def evpn_lab(root: Path, letter: str, described: Spec | None = None) -> Iterator[Evpn]:
    """All of it, or of another fabric, up and well; taken down afterwards, whatever came."""
    name = f"{letter}{os.getpid()}"
    try:
        lab = up.bring_up(described or spec.preset("evpn"), name, root=root)
        evpn = Evpn(start.start(lab))
        # The controller knows all switches once each has said how it stands.
        expected = {one.speaker.node for one in lab.layout.fabric}
        assert eventually(lambda: expected <= evpn.told().of(Kind.SWITCH).keys(), SETTLED_S), (
            "the fabric controller does not speak"
        )
        evpn.await_well()
        yield evpn
    finally:
        down.take_down(name, root)


@contextmanager
def broken(evpn: Evpn, *what: str, silent: bool = False) -> Iterator[None]:
    """Faults of `lab.faults` for as long as the block lasts."""
    try:
        for each in what:
            faults.fail(evpn.lab, each, silent=silent)
        yield
    finally:
        for each in what:
            faults.heal(evpn.lab, each)
