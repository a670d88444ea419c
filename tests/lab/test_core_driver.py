"""The driver `core` on the VLAN lab's router: a provider network gets its gateway, and loses it."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from tests.doubles.switch_configs import adding, removing
from tests.lab.fabric_rig import pings, reaches, run

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import Route, SwitchConfig, VlanGateway
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.core.driver import CoreDriver
from netwright.lab import links, netns
from netwright.lab.links import VethEnd
from netwright.lab.nodes import ovs, switch
from netwright.lab.state import Lab
from netwright.model.errors import DeviceError

pytestmark = pytest.mark.lab

TOKEN = 5
GREY = VlanGateway(
    interface=f"{switch.BRIDGE}.777",
    physical_network="physnet1",
    vlan=777,
    network_id="grey",
    addresses=("10.77.0.1/24", "fd00:77::1/64"),
)


@pytest.fixture(scope="module")
def machine(vlan: Lab) -> Iterator[str]:
    """A namespace at an access port of VLAN 777 of the core's line card; the core is reachable."""
    core = core_of(vlan)
    directory = vlan.node_directory(core)
    name = "frr-c-machine"
    argv = ("unshare", "-m", "sleep", "infinity")
    first = netns.run_in(vlan.namespace(core), lambda: subprocess.Popen(argv))
    netns.create([name])
    try:
        (directory / "pid").write_text(str(first.pid))
        links.create_veths([(VethEnd(name, "eth0"), VethEnd(vlan.namespace(core), "test777"))])
        run("ip", "link", "set", "test777", "up", node=vlan.namespace(core))
        run("ethtool", "-K", "eth0", "tx", "off", node=name)
        run("ip", "addr", "add", "10.77.0.9/24", "dev", "eth0", node=name)
        run("ip", "link", "set", "eth0", "up", node=name)
        ovs.vsctl(vlan, core, ["add-port", switch.BRIDGE, "test777", "tag=777"])
        yield name
    finally:
        first.kill()
        first.wait()
        netns.delete([name])


@pytest.fixture
async def driver(vlan: Lab, machine: str) -> AsyncIterator[CoreDriver]:
    core = core_of(vlan)
    made = CoreDriver(core, vlan.node_directory(core))
    yield made
    await made.apply(removing((await made.read()).config), token=TOKEN)
    assert (await made.read()).config == SwitchConfig()
    await made.close()


def core_of(lab: Lab) -> str:
    return lab.nodes("router")[0]


async def test_a_provider_network_comes_and_goes(
    vlan: Lab, driver: CoreDriver, machine: str
) -> None:
    core = core_of(vlan)
    namespace = vlan.namespace(core)
    before = links.interfaces_in(namespace)
    ports = ovs.vsctl(vlan, core, ["list-ports", switch.BRIDGE])
    routes = run("ip", "route", node=namespace)
    run("ip", "route", "add", "203.0.113.0/24", "via", "10.101.0.2", node=namespace)
    try:
        assert (await driver.read()).config == SwitchConfig()  # nothing of the lab's is ours
        assert not pings(machine, "10.77.0.1")
        inside = Route(destination="198.51.100.0/24", nexthop="10.77.0.9")
        await driver.apply(adding(GREY, inside), token=TOKEN)
        found = await driver.read()
        assert found.config == SwitchConfig(gateways={GREY.key: GREY}, routes=frozenset({inside}))
        assert await reaches(machine, "10.77.0.1")
        for scope in (GREY.interface.replace(".", "/"), "all"):
            setting = f"net.ipv4.conf.{scope}.send_redirects"
            assert run("sysctl", "-n", setting, node=namespace).strip() == "0"
        await driver.apply(removing(found.config), token=TOKEN)
        assert not pings(machine, "10.77.0.1")
        assert set(links.interfaces_in(namespace)) == {*before, "netwright"}
        assert ovs.vsctl(vlan, core, ["list-ports", switch.BRIDGE]) == ports
        assert "203.0.113.0/24" in run("ip", "route", node=namespace)
    finally:
        run("ip", "route", "del", "203.0.113.0/24", node=namespace)
    assert run("ip", "route", node=namespace) == routes


async def test_drift_of_each_kind_is_read_and_repaired(
    vlan: Lab, driver: CoreDriver, machine: str
) -> None:
    core = core_of(vlan)
    namespace = vlan.namespace(core)
    await driver.apply(adding(GREY), token=TOKEN)
    wanted = (await driver.read()).config
    (port,) = (
        each
        for each in ovs.vsctl(vlan, core, ["list-ports", switch.BRIDGE]).split()
        if each.startswith("nwa")
    )
    hands: dict[str, Callable[[], object]] = {
        "address": lambda: run(
            "ip", "addr", "del", "10.77.0.1/24", "dev", GREY.interface, node=namespace
        ),
        "VLAN": lambda: ovs.vsctl(vlan, core, ["set", "Port", port, "tag=778"]),
        "port": lambda: ovs.vsctl(vlan, core, ["del-port", port]),
        "state": lambda: run("ip", "link", "set", GREY.interface, "down", node=namespace),
        "interface": lambda: run("ip", "link", "del", GREY.interface, node=namespace),
    }
    for what, hand in hands.items():
        hand()
        now = (await driver.read()).config
        assert now != wanted, what
        before = now.gateways.get(GREY.key)
        await driver.apply([Change(verb=Verb.REPLACE, before=before, after=GREY)], token=TOKEN)
        assert (await driver.read()).config == wanted, what
        assert await reaches(machine, "10.77.0.1"), what


async def test_an_owners_interface_is_adopted_and_stays(vlan: Lab, driver: CoreDriver) -> None:
    """The inventory names it for the VLAN: ours are the addresses of the plan, and only they."""
    namespace = vlan.namespace(core_of(vlan))
    interface = "vlan101"
    shown = run("ip", "-br", "addr", "show", interface, node=namespace).split()[2:]
    own = [each for each in shown if not each.startswith("fe80")]
    blue = VlanGateway(
        interface=interface,
        physical_network="physnet1",
        vlan=101,
        network_id="8f3f5c5e-3f0e-4a37-9f4f-6c5a2f0d7b11",
        addresses=("192.0.2.1/24",),
    )
    await driver.apply(adding(blue), token=TOKEN)
    assert (await driver.read()).config.gateways == {interface: blue}
    more = VlanGateway(
        interface=interface,
        physical_network="physnet1",
        vlan=101,
        network_id=blue.network_id,
        addresses=("192.0.2.1/24", "2001:db8::1/64"),
    )
    await driver.apply([Change(verb=Verb.REPLACE, before=blue, after=more)], token=TOKEN)
    assert (await driver.read()).config.gateways == {interface: more}
    await driver.apply([Change(verb=Verb.REMOVE, before=more)], token=TOKEN)
    assert (await driver.read()).config == SwitchConfig()
    now = run("ip", "-br", "addr", "show", interface, node=namespace).split()[2:]
    assert [each for each in now if not each.startswith("fe80")] == own


async def test_what_it_cannot_do_is_refused(vlan: Lab, driver: CoreDriver) -> None:
    with pytest.raises(DeviceError, match=r"add gateway nobr\.5 .*line card"):
        await driver.apply(
            adding(
                VlanGateway(
                    interface="nobr.5",
                    physical_network="p",
                    vlan=5,
                    network_id="n",
                    addresses=("192.0.2.1/24",),
                )
            ),
            token=TOKEN,
        )
    with pytest.raises(OvertakenError, match="token 5, ours is 4"):
        await driver.apply([], token=TOKEN - 1)
