"""The server beside Nova: its calls in their order, and what it hears, whoever dies meanwhile.

Nova is a double of its endpoint, and the calls that nova/network/neutron.py makes.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.doubles.nova import TOKEN, NovaDouble, nova
from tests.doubles.postgres import Postgres
from tests.e2e.conftest import Server, running

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.model.errors import PortNotFound
from netwright.model.states import Plane
from netwright.model.wire import HostRegistration, Report, ReportBatch, ReportStatus

INSTANCE = "11111111-2222-4333-8444-555555555555"
HOST = "compute1"
PLUGGED = "network-vif-plugged completed"
UNPLUGGED = "network-vif-unplugged completed"
CHANGED = "network-changed completed"
DELETED = "network-vif-deleted completed"
WAIT_S = 30.0
SEGMENT = {
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 101,
}


def within(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {WAIT_S} s"
        time.sleep(0.02)


def settings(state: Path, url: str) -> dict[str, str]:
    state.mkdir(parents=True, exist_ok=True)
    token = state / "nova.token"
    token.write_text(TOKEN)
    return {"nova_endpoint": url, "nova_token_file": str(token), "nova_timeout_s": "2"}


async def prepare(client: Client) -> str:
    """A network with a subnet, and a host whose agent is heard; the network's id."""
    networking = Networking(client)
    network = await networking.create(Collection.NETWORKS, {"name": "n"} | SEGMENT)
    subnet = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    await networking.create(Collection.SUBNETS, subnet)
    registration = HostRegistration(
        epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    await client.register_host(HOST, registration)
    return str(network["id"])


async def boot(client: Client, network_id: str) -> dict[str, Any]:
    """A port as Nova asks for it when it builds an instance, bound to its host."""
    networking = Networking(client)
    port = await networking.create(
        Collection.PORTS,
        {"device_id": INSTANCE, "network_id": network_id, "admin_state_up": True},
    )
    change = {
        "device_id": INSTANCE,
        "device_owner": "compute:nova",
        "binding:host_id": HOST,
        "binding:profile": {},
    }
    return await networking.update(Collection.PORTS, port["id"], change)


async def looks_before_it_builds(client: Client, network_id: str) -> None:
    """Which networks the project may use, whether the ports fit its quota, its security groups."""
    networking = Networking(client)
    (network,) = await networking.list(Collection.NETWORKS, {"id": network_id})
    project = {"tenant_id": network["project_id"]}
    own = await networking.list(Collection.NETWORKS, {**project, "shared": "False"})
    shared = await networking.list(Collection.NETWORKS, {"shared": "True"})
    assert ([each["id"] for each in own], shared) == ([network_id], [])
    path = f"/v2.0/quotas/{network['project_id']}"
    quota = (await client.call("GET", path, dict[str, dict[str, int]]))["quota"]
    ports = await networking.list(Collection.PORTS, {**project, "fields": "id"})
    assert quota["port"] == -1 or quota["port"] > len(ports)
    groups = await networking.list(Collection.SECURITY_GROUPS, {**project, "fields": "name"})
    assert groups == [{"name": "default"}]


async def looks_at_what_it_has(client: Client, port: dict[str, Any]) -> None:
    """For an instance's network information: subnets, DHCP's ports, no floating IPs."""
    networking = Networking(client)
    (address,) = port["fixed_ips"]
    (subnet,) = await networking.list(Collection.SUBNETS, {"id": address["subnet_id"]})
    assert (subnet["gateway_ip"], subnet["dns_nameservers"]) == ("10.0.0.1", [])
    dhcp = {"network_id": port["network_id"], "device_owner": "network:dhcp"}
    assert await networking.list(Collection.PORTS, dhcp) == []
    floating = {"fixed_ip_address": address["ip_address"], "port_id": port["id"]}
    assert await networking.list(Collection.FLOATING_IPS, floating) == []


async def wire(client: Client, port_id: str, status: ReportStatus = ReportStatus.UP) -> None:
    """The agent's word about the port as it is bound now."""
    history = await client.port_history(port_id)
    generation = max(each.generation or 0 for each in history)
    said = Report(
        plane=Plane.UNDERLAY, generation=generation, status=status, port_id=port_id, cause=""
    )
    batch = ReportBatch(host=HOST, epoch="life1", reports=(said,))
    (result,) = (await client.report(batch)).results
    assert result.result == "applied"


def netwright(server: Server, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("netwright")), *arguments]
    done = subprocess.run(
        [*command, "--server", server.url], capture_output=True, text=True, check=True
    )
    return done.stdout


def metric(server: Server, name: str) -> float:
    async def ask() -> str:
        async with Client(server.url) as client:
            chunks = [c async for c in client.stream("/metrics", params=[], silence_s=5)]
            return b"".join(chunks).decode()

    found = re.search(rf"^{re.escape(name)} (\S+)$", asyncio.run(ask()), re.MULTILINE)
    assert found, name
    return float(found[1])


def test_novas_calls_in_their_order(tmp_path: Path) -> None:
    with nova() as double, running(tmp_path, "none", **settings(tmp_path, double.url)) as server:
        double.instances = {INSTANCE: None}

        async def build() -> str:
            async with Client(server.url) as client:
                networking = Networking(client)
                told = await client.call("GET", "/v2.0/extensions", dict[str, list[dict[str, Any]]])
                assert "binding" in {each["alias"] for each in told["extensions"]}
                network_id = await prepare(client)
                await looks_before_it_builds(client, network_id)
                port = await boot(client, network_id)
                assert port["status"] == "BUILD"
                assert port["binding:vif_type"] == "ovs"
                listed = await networking.list(Collection.PORTS, {"device_id": INSTANCE})
                assert [each["id"] for each in listed] == [port["id"]]
                await looks_at_what_it_has(client, port)
                await wire(client, port["id"])
                return str(port["id"])

        port_id = asyncio.run(build())
        within(lambda: len(double.asked) > 1)
        explained = netwright(server, "port", "explain", port_id)
        assert re.search(
            r"Nova has not yet acknowledged network-vif-plugged of instance "
            rf"{INSTANCE}: \d+ tr(y|ies), last answer 422 at .* UTC "
            r"\(the instance has no host yet\), for \d+ s\.",
            explained,
        ), explained
        assert metric(server, 'netwright_notices_total{outcome="retried"}') >= 1
        double.instances = {INSTANCE: HOST}
        within(lambda: double.heard_of(port_id) == [PLUGGED])
        within(lambda: "Nova was told" in netwright(server, "port", "explain", port_id))
        assert "Nova was told network-vif-plugged" in netwright(server, "port", "show", port_id)

        async def rest() -> None:
            async with Client(server.url) as client:
                networking = Networking(client)
                port = await networking.show(Collection.PORTS, port_id)
                assert port["status"] == "ACTIVE"
                more = [*port["fixed_ips"], {"subnet_id": port["fixed_ips"][0]["subnet_id"]}]
                await networking.update(Collection.PORTS, port_id, {"fixed_ips": more})
                unbound = {"device_id": "", "device_owner": "", "binding:host_id": None}
                await networking.update(Collection.PORTS, port_id, unbound)
                port = await networking.show(Collection.PORTS, port_id)
                assert (port["status"], port["binding:vif_type"]) == ("DOWN", "unbound")
                await networking.delete(Collection.PORTS, port_id)
                # And a port that Nova deletes while its instance has it.
                other = await boot(client, str(port["network_id"]))
                await networking.delete(Collection.PORTS, other["id"])
                with pytest.raises(PortNotFound):
                    await networking.show(Collection.PORTS, other["id"])

        asyncio.run(rest())
        within(lambda: len(double.heard) == 4)
        assert sorted(double.heard_of(port_id)) == sorted([PLUGGED, CHANGED, UNPLUGGED])
        assert str(double.heard[-1]) == DELETED
        assert not double.wrong
        assert server.stop() == 0
        assert "Traceback" not in server.log


async def come_up(url: str) -> str:
    async with Client(url) as client:
        port = await boot(client, await prepare(client))
        await wire(client, port["id"])
        return str(port["id"])


def test_killed_between_commit_and_send_it_tells_nova_when_it_is_back(tmp_path: Path) -> None:
    with nova() as double:
        url, port = double.url, int(double.url.split(":")[2].split("/")[0])
    given = settings(tmp_path, url)
    with running(tmp_path, "none", **given) as server:  # nobody listens where Nova should
        port_id = asyncio.run(come_up(server.url))
        server.process.kill()
        server.process.wait(WAIT_S)
    with nova(port) as double, running(tmp_path, "none", **given) as server:
        within(lambda: double.heard_of(port_id) == [PLUGGED])
        assert not double.wrong


def test_the_worker_that_sends_is_killed_and_another_takes_over(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    database = postgres_server.new_database()
    with nova() as double:
        given = settings(tmp_path, double.url) | {"database": database, "nova_timeout_s": "3"}
        double.gate.clear()
        with running(tmp_path, "none", "--workers", "2", **given) as server:
            port_id = asyncio.run(come_up(server.url))
            within(lambda: double.running == 1)
            sender = owner_of(server, double)
            double.breaks = True
            os.kill(sender, signal.SIGKILL)
            double.gate.set()
            within(lambda: not double.running)
            assert not double.heard
            double.breaks = False
            within(lambda: double.heard_of(port_id) == [PLUGGED])
            assert not double.wrong
            assert server.stop() == 0


def owner_of(server: Server, double: NovaDouble) -> int:
    """The worker whose request the double holds, by the kernel's tables."""
    ports = (double.peers[-1], urlsplit(double.url).port)
    local, remote = (f"0100007F:{port:04X}" for port in ports)  # 127.0.0.1, as proc(5) writes it
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [line[9] for line in lines if line[1:3] == [local, remote]]
    pid = server.process.pid
    for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        for descriptor in Path(f"/proc/{worker}/fd").iterdir():
            if descriptor.readlink() == Path(f"socket:[{inode}]"):
                return int(worker)
    raise AssertionError(f"no worker has the connection from {local}")
