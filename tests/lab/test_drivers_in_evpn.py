"""The drivers on the lab's own preset `evpn`, by the addresses of its inventory."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.lab.fabric_rig import run

from netwright.fabric.changes import difference
from netwright.fabric.config import (
    AnycastGateway,
    Interface,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.base import Driver
from netwright.fabric.drivers.registry import driver_of
from netwright.lab import down, spec, up
from netwright.lab.nodes import frr
from netwright.lab.state import Lab
from netwright.lab.topology import topology_of

pytestmark = pytest.mark.lab

TOKEN = 1
VNI = 10_001


@pytest.fixture(scope="module")
def lab(lab_root: Path) -> Iterator[Lab]:
    unique = f"d{time.time_ns() % 10**9}"
    try:
        yield up.bring_up(spec.preset("evpn"), unique, root=lab_root, stand_in_agents=True)
    finally:
        down.take_down(unique, lab_root)


@pytest.fixture
async def drivers(lab: Lab) -> AsyncIterator[dict[str, Driver]]:
    """Of all switches that have one; they are left as they were."""
    made = {each.name: driver_of(each) for each in topology_of(lab).switches if each.driver}
    yield made
    for driver in made.values():
        config = (await driver.read()).config
        await driver.apply(difference(config, SwitchConfig()), token=TOKEN)
        assert (await driver.read()).config == SwitchConfig()
        await driver.close()


async def test_every_switch_is_read_and_has_nothing_of_ours(
    lab: Lab, drivers: dict[str, Driver]
) -> None:
    assert {"leaf1", "leaf4", "border1", "spine1", "core1"} <= drivers.keys()
    boots = set()
    for name, driver in drivers.items():
        actual = await driver.read()
        assert actual.config == SwitchConfig(), name
        assert actual.links, name
        boots.add(actual.boot_id)
    assert len(boots) == len(drivers)


async def test_bare_metal_meets_its_gateway_and_the_cores_network_is_adopted(
    lab: Lab, drivers: dict[str, Driver]
) -> None:
    """The port is the one that the inventory's link says."""
    (port,) = (
        each.upper.interface for each in topology_of(lab).links if each.lower.node == "metal1"
    )
    speaker = frr.fabric_switch(lab, "leaf4").speaker
    both = RouteTargets(imports=(f"65000:{VNI}",), exports=(f"65000:{VNI}",))
    none = RouteTargets(imports=(), exports=())
    gateway = AnycastGateway(addresses=("10.83.0.254/24",), mac_address="02:00:5e:00:00:01")
    wanted = SwitchConfig(
        vrfs={"vpc-m": Vrf(name="vpc-m", router_id="r", rd="", route_targets=none)},
        segments={
            VNI: Segment(
                vni=VNI,
                network_id="metal",
                vrf="vpc-m",
                gateway=gateway,
                rd=f"{speaker.loopback}:{VNI}",
                route_targets=both,
            )
        },
        interfaces={port: Interface(name=port, untagged=VNI)},
    )
    await drivers["leaf4"].apply(difference(SwitchConfig(), wanted), token=TOKEN)
    assert (await drivers["leaf4"].read()).config == wanted
    metal = lab.namespace("metal1")
    interface = next(
        each.lower.interface for each in topology_of(lab).links if each.lower.node == "metal1"
    )
    run("ip", "addr", "add", "10.83.0.1/24", "dev", interface, node=metal)
    run("ping", "-c1", "-W2", "10.83.0.254", node=metal)

    blue = next(each for each in topology_of(lab).gateways if each.switch == "core1")
    adopted = VlanGateway(
        interface=blue.interface,
        physical_network=blue.physical_network,
        vlan=blue.vlan,
        network_id="8f3f5c5e-3f0e-4a37-9f4f-6c5a2f0d7b11",
        addresses=("192.0.2.1/24",),
    )
    plan = SwitchConfig(gateways={adopted.key: adopted})
    await drivers["core1"].apply(difference(SwitchConfig(), plan), token=TOKEN)
    assert (await drivers["core1"].read()).config == plan
