"""The whole OVS half as the agent runs it: in its host's namespace, without any server."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.ovs_rig import OvsRig, run, wait_for

pytestmark = pytest.mark.lab

MANAGEMENT = "10.1.0.1"
_AGENT = """
import asyncio, json, sys
from netwright.agent.config import AgentSettings
from netwright.agent.ovs.settings import ovs_host
import msgspec

settings = msgspec.convert(json.loads(sys.argv[1]), AgentSettings)

async def main():
    host = ovs_host(settings)
    running = asyncio.create_task(host.run(lambda: None))
    await host.wait_ready(10)
    print("ready", flush=True)
    await running

asyncio.run(main())
"""


@pytest.fixture
def rig() -> Iterator[OvsRig]:
    """A host with two NICs to a switch, at which the namespace `station` sits, untagged."""
    directory = Path(tempfile.mkdtemp(prefix="nwo-"))
    rig = OvsRig(f"nwo{directory.name[-6:]}", directory)
    try:
        rig.up()
        for number in (0, 1):
            rig.exec("ip", "link", "add", f"nic{number}", "type", "veth", "peer", f"far{number}")
            for end in (f"nic{number}", f"far{number}"):
                rig.exec("ip", "link", "set", end, "up")
        rig.instance("station", "fa:16:3e:00:00:64", "10.1.0.9/24")
        bfd = ("bfd:enable=true", "bfd:min_rx=100", "bfd:min_tx=100")
        rig.vsctl(
            "add-br", "tor", "--", "set", "Bridge", "tor", "datapath_type=netdev",
            "--", "add-port", "tor", "far0", "--", "set", "Interface", "far0", *bfd,
            "--", "add-port", "tor", "far1", "--", "set", "Interface", "far1", *bfd,
            "--", "add-port", "tor", "tapstation",
        )  # fmt: skip
        yield rig
    finally:
        rig.down()
        shutil.rmtree(directory)


@contextlib.contextmanager
def agent(rig: OvsRig) -> Iterator[subprocess.Popen[str]]:
    settings = {
        "ovsdb": f"unix:{rig.ovsdb_path}",
        "datapath_type": "netdev",
        "physical_networks": {"physnet1": "br-bond"},
        "bond": {"members": ["nic0", "nic1"]},
        "management_ip": f"{MANAGEMENT}/24",
    }
    enter = ["nsenter", f"--net=/run/netns/{rig.netns}"]
    command = [*enter, sys.executable, "-c", _AGENT, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline()) != "ready\n":
                assert line, "the agent ended before its base wiring stood"
            yield process
        finally:
            process.terminate()


def answers(rig: OvsRig) -> bool:
    ping = ("ping", "-n", "-q", "-c", "1", "-W", "1", MANAGEMENT)
    netns = f"/run/netns/{rig.netns}-station"
    done = subprocess.run(["nsenter", f"--net={netns}", *ping], capture_output=True, check=False)
    return done.returncode == 0


def test_the_management_address_works_first_and_again_after_ovs_restarts(rig: OvsRig) -> None:
    with agent(rig):
        wait_for(lambda: answers(rig), "the management address")
        rig.stop("ovs-vswitchd")
        assert not answers(rig)
        rig.start_vswitchd()
        wait_for(lambda: answers(rig), "the management address after a restart")


def test_an_agent_is_small_and_idle(rig: OvsRig) -> None:
    with agent(rig) as process:
        time.sleep(1)
        before = _cpu_s(process.pid)
        time.sleep(3)
        share = (_cpu_s(process.pid) - before) / 3
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident_mb = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        sys.stdout.write(
            f"OVS half of the agent: {resident_mb:.0f} MB, idle {share:.1%} of a core\n"
        )
        assert resident_mb < 80
        assert share < 0.01


def test_a_killed_agent_leaves_everything_in_place(rig: OvsRig) -> None:
    with agent(rig) as process:
        wait_for(lambda: answers(rig), "the management address")
        process.kill()
        process.wait(5)
        assert answers(rig)
    before = rig.ofctl("dump-flows", "br-bond", "--no-stats")
    address = run("nsenter", f"--net=/run/netns/{rig.netns}", "ip", "-br", "address")
    with agent(rig):
        assert rig.ofctl("dump-flows", "br-bond", "--no-stats") == before
        assert run("nsenter", f"--net=/run/netns/{rig.netns}", "ip", "-br", "address") == address


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
