"""The fabric controller on real FRR, observed by GoBGP: up, drift, a wrong route target."""

import asyncio
import random
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_server import FabricServer
from tests.lab.fabric_rig import Rig, run

from netwright.fabric.controller import Controller, Saw
from netwright.fabric.drivers.registry import driver_of
from netwright.fabric.eyes.gobgp import GobgpEye
from netwright.fabric.store import Store
from netwright.model.fabric import SwitchStatus
from netwright.model.states import AttachmentState
from netwright.model.topology import (
    DriftPolicy,
    End,
    FabricSettings,
    Link,
    Switch,
    SwitchKind,
    Topology,
)
from netwright.model.wire import Kind

pytestmark = pytest.mark.lab

NETWORK, OTHER = fabrics.network(1), fabrics.network(2)
UP = AttachmentState.UP
API = 20_051


class Scene:
    """A spine, two leaves, host1 and host2 on both, an observer; and the server's double."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self.rig = rig
        self.directory = directory
        self.server = FabricServer(time.monotonic)
        self.topology = _topology(rig)

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Controller]:
        store = Store.open(self.directory)
        controller = Controller(
            self.server,
            store,
            driver_of,
            holder="lab",
            clock=time.monotonic,
            now=time.time,
            jitter=random.random,
            eye=self._eye,
        )
        task = asyncio.create_task(controller.run())
        try:
            yield controller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await controller.stop()
            store.close()

    def _eye(self, on_change: Saw) -> GobgpEye:
        program = ("ip", "netns", "exec", self.rig.namespace("obs"), "gobgp")
        return GobgpEye(
            f"127.0.0.1:{API}", on_change=on_change, jitter=random.random, program=program
        )

    async def until(self, what: Callable[[], bool], within_s: float) -> float:
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < within_s, f"not within {within_s} s"
            await asyncio.sleep(0.005)
        return time.monotonic() - began

    async def until_up(self, *subjects: str, within_s: float = 20.0) -> float:
        return await self.until(
            lambda: all(self.server.state(one) is UP for one in subjects), within_s
        )

    def is_status(self, switch: str, status: SwitchStatus) -> bool:
        return self.server.status(switch).status is status


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    directory = Path(tempfile.mkdtemp(prefix="nwc-"))
    directory.chmod(0o755)
    rig = Rig("ctl-t-", directory)
    observer = None
    try:
        rig.bring_up(spines=1, leaves=2)
        for number in (1, 2):
            rig.add_host(f"host{number}", "l1", f"swp{number}")
            rig.cable(f"host{number}", "eth1", "l2", f"swp{number}")
        observer = _observer(rig)
        yield rig
    finally:
        if observer is not None:
            observer.kill()
            observer.wait()
        rig.tear_down()


@pytest.fixture
async def scene(rig: Rig, tmp_path: Path) -> Scene:
    scene = Scene(rig, tmp_path)
    await scene.server.put(Kind.TOPOLOGY, "fabric", scene.topology)
    for network in (NETWORK, OTHER):
        await scene.server.put(Kind.NETWORK, network.id, network)
    return scene


async def test_attachments_come_up_verified_and_go_without_a_trace(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    async with scene.controller() as controller:
        await scene.until(lambda: controller.observed() is not None, 10.0)
        for leaf in ("l1", "l2"):  # one without a session yet is isolated, and takes no part
            await scene.until(partial(scene.is_status, leaf, SwitchStatus.IN_SYNC), 10.0)
        took = {}
        await scene.server.put_attachment(fabrics.attachment(NETWORK, "host1", 10))
        took["after the routers' start"] = await scene.until_up("net-1@host1")
        await scene.server.put_attachment(fabrics.attachment(OTHER, "host1", 11))
        took["new VNI"] = await scene.until_up("net-2@host1")
        await scene.server.put_attachment(fabrics.attachment(NETWORK, "host2", 10))
        took["known VNI"] = await scene.until_up("net-1@host2")
        observed = controller.observed()
        assert observed is not None
        loopbacks = {scene.rig.routers[leaf].loopback for leaf in ("l1", "l2")}
        assert {vtep for vtep, vni in observed if vni == 1001} == loopbacks
        subjects = ("net-1@host1", "net-1@host2", "net-2@host1")
        for subject in subjects:
            await scene.server.withdraw(subject)
        took["gone"] = await scene.until(
            lambda: all(scene.server.state(subject) is None for subject in subjects), 10.0
        )
        await scene.until(lambda: scene.server.clear_at == scene.server.cursor, 10.0)
        record_property("took_ms", {what: round(1000 * s) for what, s in took.items()})


async def test_a_leaf_changed_by_hand_is_seen_shown_and_repaired(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    async with scene.controller():
        await scene.server.put_attachment(fabrics.attachment(NETWORK, "host1", 10))
        await scene.until_up("net-1@host1")
        router = scene.rig.routers["l1"]
        router.tell("bgpd", _wrong_target(router.asn, 1001))
        took = await scene.until(
            lambda: any(
                one.switch == "l1" and one.status is SwitchStatus.DRIFTED and "9:9" in one.drift[0]
                for one in scene.server.switches
            ),
            5.0,
        )
        await scene.until(lambda: scene.is_status("l1", SwitchStatus.IN_SYNC), 10.0)
        await scene.until_up("net-1@host1")
        assert "65000:1001" in router.tell("bgpd", "show bgp l2vpn evpn vni 1001")
        record_property("seen_after_ms", round(1000 * took))


async def test_where_drift_is_only_alarmed_a_wrong_target_takes_the_attachment_down(
    scene: Scene,
) -> None:
    alarm = replace(scene.topology, fabric=FabricSettings(drift=DriftPolicy.ALARM))
    await scene.server.put(Kind.TOPOLOGY, "fabric", alarm)
    async with scene.controller() as controller:
        await scene.server.put_attachment(fabrics.attachment(OTHER, "host2", 11))
        await scene.until_up("net-2@host2")
        router = scene.rig.routers["l2"]
        router.tell("bgpd", _wrong_target(router.asn, 1002))
        await scene.until(lambda: scene.server.state("net-2@host2") is AttachmentState.DRIFTED, 5.0)
        assert "l2" in scene.server.attachment("net-2@host2").cause
        await asyncio.sleep(4)
        assert scene.is_status("l2", SwitchStatus.DRIFTED)
        tenure = controller.tenure
        assert tenure is not None
        tenure.keepers["l2"].look(repair=True)  # as an operator asks for
        await scene.until_up("net-2@host2")


def _wrong_target(asn: int, vni: int) -> str:
    return f"""configure terminal
router bgp {asn}
 address-family l2vpn evpn
  vni {vni}
   route-target export 9:9
  exit-vni
 exit-address-family
end"""


def _topology(rig: Rig) -> Topology:
    switches = [
        Switch(
            name=name,
            kind=SwitchKind.SPINE if name.startswith("s") else SwitchKind.LEAF,
            driver="" if name.startswith("s") else "frr",
            address="" if name.startswith("s") else router.address,
            asn=router.asn,
            loopback=router.loopback,
        )
        for name, router in rig.routers.items()
    ]
    links = [
        Link(
            lower=End(node=f"host{host}", interface=nic),
            upper=End(node=leaf, interface=f"swp{host}"),
        )
        for host in (1, 2)
        for nic, leaf in (("eth0", "l1"), ("eth1", "l2"))
    ]
    return Topology(switches=tuple(switches), links=tuple(links))


def _observer(rig: Rig) -> "subprocess.Popen[bytes]":
    """GoBGP, peered with the spine over a cable of its own."""
    rig.add_host("obs", "s1", "obs")
    run("ip", "addr", "add", "10.254.0.2/30", "dev", "eth0", node=rig.namespace("obs"))
    run("ip", "link", "set", "lo", "up", node=rig.namespace("obs"))
    spine = rig.routers["s1"]
    run("ip", "addr", "add", "10.254.0.1/30", "dev", "obs", node=spine.namespace)
    spine.tell(
        "bgpd",
        f"""configure terminal
router bgp {spine.asn}
 neighbor 10.254.0.2 remote-as 65199
 neighbor 10.254.0.2 timers 3 9
 neighbor 10.254.0.2 advertisement-interval 0
 address-family l2vpn evpn
  neighbor 10.254.0.2 activate
 exit-address-family
end""",
    )
    configuration = rig.directory / "gobgpd.toml"
    configuration.write_text(
        f"""[global.config]
as = 65199
router-id = "10.254.0.2"
[[neighbors]]
[neighbors.config]
neighbor-address = "10.254.0.1"
peer-as = {spine.asn}
[neighbors.timers.config]
connect-retry = 1
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "l2vpn-evpn"
"""
    )
    command = ("gobgpd", "-f", str(configuration), "--api-hosts", f"127.0.0.1:{API}")
    namespace = ("ip", "netns", "exec", rig.namespace("obs"))
    with (rig.directory / "gobgpd.log").open("wb") as output:
        return subprocess.Popen((*namespace, *command), stdout=output, stderr=output)
