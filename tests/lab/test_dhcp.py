"""Real clients of DHCP, answered by their host's agent from their port's data, and by nobody else.

The preset `vlan`, whose access switches are leaves in the inventory, as in `test_fabric_hosts`.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.lab.test_fabric_hosts import as_fabric, is_up

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, spec, start, up
from netwright.lab.nodes import host as hosts
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.places import find_instance
from netwright.lab.services import AGENT
from netwright.lab.topology import topology_of

pytestmark = pytest.mark.lab

WAIT_S = 30.0
NAME_SERVER, NAME_SERVER6 = "10.1.1.1", "fd00:1::1"
OPTIONS = [
    {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"},
    {"opt_name": "224", "opt_value": "house"},
    {"opt_name": "domain-search", "opt_value": "one.example", "ip_version": 6},
]
AGENT_OF_HOST1 = f"process:host1/{AGENT}"


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    name = f"d{os.getpid()}"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        inventory = as_fabric(topology_of(lab))
        orchestrator.ask(lambda client: client.replace_topology(inventory))
        orchestrator.create_networks()
        orchestrator.ask(create_amber)
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


async def create_amber(client: Client) -> None:
    """A fabric network with two subnets that DHCP is for."""
    api = Networking(client)
    segment = {"provider:network_type": "vxlan", "provider:segmentation_id": 5001}
    amber = await api.create(Collection.NETWORKS, {"name": "amber", **segment, "mtu": 1400})
    v4 = {
        "ip_version": 4,
        "cidr": "10.151.0.0/24",
        "gateway_ip": "10.151.0.1",
        "dns_nameservers": [NAME_SERVER],
        "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.151.0.9"}],
    }
    v6 = {
        "ip_version": 6,
        "cidr": "fd00:151::/64",
        "gateway_ip": None,
        "dns_nameservers": [NAME_SERVER6],
        "ipv6_address_mode": "dhcpv6-stateful",
        "ipv6_ra_mode": "dhcpv6-stateful",
    }
    for subnet in (v4, v6):
        await api.create(Collection.SUBNETS, {"network_id": amber["id"], **subnet})


@pytest.fixture(scope="module")
def one(nova: Orchestrator) -> Spawned:
    return spawn(nova, "one", "amber", extra_dhcp_opts=OPTIONS)


def spawn(nova: Orchestrator, name: str, network: str, **attributes: Any) -> Spawned:
    """An instance on host1 that has no address of its own yet."""
    (made,) = nova.spawn([Wanted(name, "host1", network, attributes)])
    assert eventually(lambda: is_up(nova, made), WAIT_S), nova.history(made.instance.id)
    inside(nova, made, "ip", "address", "flush", "dev", "eth0", "scope", "global")
    return made


def inside(nova: Orchestrator, made: Spawned, *argv: str) -> subprocess.CompletedProcess[str]:
    namespace = find_instance(nova.lab, made.instance.id).namespace
    enter = ["nsenter", f"--net=/run/netns/{namespace}"]
    return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=90, check=False)


def lease(nova: Orchestrator, made: Spawned, directory: Path) -> Mapping[str, str] | None:
    """What busybox's client was told; None when nobody answered it."""
    script, told = directory / "script", directory / "told"
    told.unlink(missing_ok=True)
    script.write_text(f'#!/bin/sh\n[ "$1" = bound ] && env >{told}\nexit 0\n')
    script.chmod(0o755)
    client = ["busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "2", "-T", "1"]
    asked = ["-O", "staticroutes", "-O", "mtu", "-O", "bootfile", "-O", "224", "-O", "dns"]
    done = inside(nova, made, *client, *asked, "-s", str(script))
    if done.returncode != 0:
        return None
    lines = (line.partition("=") for line in told.read_text().splitlines())
    return {name: value for name, _, value in lines}


def await_lease(nova: Orchestrator, made: Spawned, directory: Path) -> Mapping[str, str]:
    """What it was told, at once or when the machine had time for it."""
    found: list[Mapping[str, str]] = []

    def is_told() -> bool:
        told = lease(nova, made, directory)
        found.extend([] if told is None else [told])
        return bool(found)

    assert eventually(is_told, WAIT_S), "nobody answered"
    return found[-1]


def is_answered(nova: Orchestrator, made: Spawned, directory: Path) -> bool:
    return lease(nova, made, directory) is not None


def test_a_client_is_told_its_ports_address_and_options(
    nova: Orchestrator, one: Spawned, tmp_path: Path
) -> None:
    told = await_lease(nova, one, tmp_path)
    assert told["ip"] == one.address()
    assert (told["mask"], told["router"], told["dns"]) == ("24", "10.151.0.1", NAME_SERVER)
    assert (told["mtu"], told["lease"], told["serverid"]) == ("1400", "86400", "10.151.0.1")
    assert told["staticroutes"] == "10.9.0.0/16 10.151.0.9 0.0.0.0/0 10.151.0.1"
    assert told["boot_file"] == "pxelinux.0"
    assert bytes.fromhex(told["opt224"]) == b"house"


def test_another_mac_is_not_answered(nova: Orchestrator, one: Spawned, tmp_path: Path) -> None:
    inside(nova, one, "ip", "link", "set", "eth0", "address", "fa:16:3e:99:99:99")
    assert lease(nova, one, tmp_path) is None
    inside(nova, one, "ip", "link", "set", "eth0", "address", str(one.port["mac_address"]))
    assert eventually(lambda: is_answered(nova, one, tmp_path), WAIT_S)


def test_an_ipv6_client_is_told_to_ask_and_is_answered(
    nova: Orchestrator, one: Spawned, tmp_path: Path
) -> None:
    """ISC's client; the kernel has heard of the prefix before."""
    script, told = tmp_path / "script", tmp_path / "told"
    script.write_text(f'#!/bin/sh\n[ "$reason" = BOUND6 ] && env >{told}\nexit 0\n')
    script.chmod(0o755)
    files = ["-lf", str(tmp_path / "leases"), "-pf", str(tmp_path / "pid"), "-cf", "/dev/null"]
    client = ["dhclient", "-6", *files]
    try:
        done = inside(nova, one, *client, "-1", "-sf", str(script), "eth0")
        assert done.returncode == 0, done.stderr
    finally:
        inside(nova, one, *client, "-x", "-sf", "/bin/true", "eth0")
    values = dict(line.partition("=")[::2] for line in told.read_text().splitlines())
    assert values["new_ip6_address"] == one.address(6)
    assert values["new_dhcp6_name_servers"] == NAME_SERVER6
    assert values["new_dhcp6_domain_search"].rstrip(".") == "one.example"
    inside(nova, one, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=2")
    inside(nova, one, "ip", "link", "set", "eth0", "down")
    inside(nova, one, "ip", "link", "set", "eth0", "up")

    def knows_the_prefix() -> bool:
        routes = inside(nova, one, "ip", "-6", "route", "show", "proto", "kernel").stdout
        routes += inside(nova, one, "ip", "-6", "route", "show", "proto", "ra").stdout
        return "fd00:151::/64" in routes

    assert eventually(knows_the_prefix, WAIT_S), inside(nova, one, "ip", "-6", "route").stdout


def test_after_its_agent_was_away_a_client_is_answered_again(
    nova: Orchestrator, one: Spawned, tmp_path: Path
) -> None:
    faults.fail(nova.lab, AGENT_OF_HOST1)
    try:
        assert lease(nova, one, tmp_path) is None
    finally:
        faults.heal(nova.lab, AGENT_OF_HOST1)
    assert eventually(lambda: is_answered(nova, one, tmp_path), WAIT_S)


def test_a_provider_networks_clients_are_answered_where_the_host_is_told_to(
    nova: Orchestrator, tmp_path: Path
) -> None:
    two = spawn(nova, "two", "blue")
    assert lease(nova, two, tmp_path) is None
    configuration = hosts.agent_configuration_path(nova.lab, "host1")
    line = 'dhcp_physical_networks = ["physnet1"]\n'
    configuration.write_text(configuration.read_text() + line)
    faults.fail(nova.lab, AGENT_OF_HOST1)
    faults.heal(nova.lab, AGENT_OF_HOST1)
    told = await_lease(nova, two, tmp_path)
    assert (told["ip"], told["router"]) == (two.address(), "10.101.0.1")
