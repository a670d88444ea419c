"""500 hosts start 20,000 pods at once against one server, and the same ports made in bulk.

The hosts' agents are the real ones over TCP (`bench.simulated_hosts`); server and hosts have this
machine together. The project's default group allows by prefix, not by membership: of groups of
20,000 members each host would have to hear of each (`group_members` measures that). In bulk, ports
are made and bound by requests of a hundred, from a client that knows the hosts beforehand and waits
for nothing else: no device, no watch, no report. Each is run against a fresh server, with all hosts
registered.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench import simulated_hosts
from bench.result import Result, at_most
from bench.service import Service, running, vlan_network
from bench.simulated_hosts import Burst, Hosts, Started
from bench.usage import cpu_seconds, most_resident_megabytes

CIDR = "10.0.0.0/12"
HOSTS = 500
PODS = 40
PROCESSES = 2
BULK = 100
BULK_CLIENTS = 8
RATIO_MAX = 2.5
SLOWEST_MAX = 2.0
REQUEST_S_MAX = 60.0


class Took(NamedTuple):
    """Seconds of the wall, and of the server's and the hosts' processors."""

    wall_s: float
    server_s: float
    hosts_s: float
    resident_mb: float


def run(hosts: int = HOSTS, pods: int = PODS) -> list[Result]:
    bulk = _in_bulk(hosts, pods)
    took, started = _by_agents(hosts, pods)
    answered = sorted(at for each in started for at in each.answered_s)
    active = max(at for each in started for at in each.active_s)
    errors = [error for each in started for error in each.errors]
    median = statistics.median(answered)
    count = hosts * pods
    return [
        Result(f"{count:,} ports made and bound in bulk of {BULK}", bulk.wall_s, "s"),
        Result("  … the server's CPU, a port", bulk.server_s / count * 1e3, "ms"),
        Result(f"{count:,} pods started at once on {hosts} hosts", answered[-1], "s"),
        at_most("  … / in bulk", answered[-1] / bulk.wall_s, RATIO_MAX),
        at_most("  … the slowest host / the median", answered[-1] / median, SLOWEST_MAX),
        at_most(f"  … errors{_first(errors)}", len(errors), 0),
        Result("  … all ACTIVE", active, "s"),
        Result("  … the server's CPU, a pod", took.server_s / count * 1e3, "ms"),
        Result("  … the agents' CPU, a pod", took.hosts_s / count * 1e3, "ms"),
        Result("  … the server at its most resident", took.resident_mb, "MB"),
    ]


def _first(errors: list[str]) -> str:
    return f", the first: {errors[0]}" if errors else ""


@contextmanager
def scene() -> Iterator[tuple[Service, Path]]:
    """A server with a network for pods; the directory of its state."""
    # Not /tmp, which may be in memory.
    with (
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        running(Path(directory)) as service,
    ):
        network_id = vlan_network(service, CIDR)
        labelled = {"network": {"labels": {"app": "pods"}}}
        service.put(f"/v2.0/networks/{network_id}", labelled)
        _allow_by_prefix(service)
        yield service, Path(directory)


def _allow_by_prefix(service: Service) -> None:
    """The default group lets its own members in: instead, what comes from the pods' addresses."""
    (group,) = service.get("/v2.0/security-groups?name=default")["security_groups"]
    for rule in group["security_group_rules"]:
        if rule["remote_group_id"] is not None:
            service.delete(f"/v2.0/security-group-rules/{rule['id']}", None)
    rule = {"direction": "ingress", "ethertype": "IPv4", "remote_ip_prefix": CIDR}
    body = {"security_group_rule": {**rule, "security_group_id": group["id"]}}
    service.post("/v2.0/security-group-rules", body)


def _in_bulk(hosts: int, pods: int) -> Took:
    with scene() as (service, _):
        network_id = service.get("/v2.0/networks")["networks"][0]["id"]
        names = [f"sim{n:03}" for n in range(hosts)]
        registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "b"}}
        for name in names:
            service.put(f"/v1/hosts/{name}", registration)
        drafts = [
            {
                "network_id": network_id,
                "device_owner": "compute:bench",
                "device_id": f"{name}-{n}",
                "name": f"{name}-{n}",
                "binding:host_id": name,
            }
            for name in names
            for n in range(pods)
        ]
        bulks = [{"ports": drafts[at : at + BULK]} for at in range(0, len(drafts), BULK)]
        before = cpu_seconds(service.pid)
        wall_s = asyncio.run(_post(f"{service.url}/v2.0/ports", bulks))
        used = cpu_seconds(service.pid) - before
        return Took(wall_s, used, 0.0, most_resident_megabytes([service.pid]))


async def _post(url: str, bodies: Sequence[Mapping[str, object]]) -> float:
    timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        left = iter(bodies)

        async def client() -> None:
            for body in left:
                async with session.post(url, json=body) as answer:
                    assert answer.status == 201, await answer.text()
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(BULK_CLIENTS)))
        return time.perf_counter() - began


def _by_agents(hosts: int, pods: int) -> tuple[Took, list[Started]]:
    with scene() as (service, _), simulated_hosts.processes(service.url, hosts, PROCESSES) as made:
        before, before_hosts = cpu_seconds(service.pid), _used(made)
        began = time.perf_counter()
        for each in made:
            each.ask(Burst(pods))
        started = [each.started() for each in made]
        wall_s = time.perf_counter() - began
        took = Took(
            wall_s,
            cpu_seconds(service.pid) - before,
            _used(made) - before_hosts,
            most_resident_megabytes([service.pid]),
        )
    return took, started


def _used(made: Sequence[Hosts]) -> float:
    return sum(cpu_seconds(each.pid) for each in made)
