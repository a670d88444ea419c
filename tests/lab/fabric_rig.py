"""A small fabric of real FRR for tests of the driver: spines and leaves in namespaces of its own.

It configures what the fabric's owner does (loopbacks, unnumbered eBGP, `advertise-all-vni`);
everything else is the driver's.
"""

import asyncio
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from netwright.fabric.drivers.bpf import kernel, programs
from netwright.fabric.drivers.linux import filters
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.lab import netns
from netwright.linux.netlink import Netlink

FABRIC_MTU = 1600
_FRR = Path("/usr/lib/frr")
_START_TIMEOUT_S = 10.0


def run(*argv: str, node: str | None = None, timeout_s: float = 20) -> str:
    """A command's output, in a node's namespaces; its failure is the test's."""
    prefix = ("ip", "netns", "exec", node) if node else ()
    done = subprocess.run(
        [*prefix, *argv], text=True, capture_output=True, check=False, timeout=timeout_s
    )
    assert done.returncode == 0, f"{argv} on {node}: {done.stdout}{done.stderr}"
    return done.stdout


def pings(namespace: str, address: str) -> bool:
    argv = ["ip", "netns", "exec", namespace, "ping", "-c1", "-W1", address]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


async def reaches(namespace: str, address: str, *, within_s: float = 30.0) -> bool:
    """A port is up, and EVPN tells where a host is, a moment after they first could.

    A fabric that has just been brought up has no BGP session yet: FRR tries again in some seconds.
    """
    give_up = time.monotonic() + within_s
    while not await asyncio.to_thread(pings, namespace, address):
        if time.monotonic() > give_up:
            return False
    return True


class Router:
    """One switch: its namespaces, its processes, its vty sockets."""

    def __init__(self, namespace: str, directory: Path, asn: int, loopback: str) -> None:
        self.namespace = namespace
        self.directory = directory
        self.asn = asn
        self.loopback = loopback
        self.processes: list[subprocess.Popen[bytes]] = []
        self.fabric_interfaces: list[str] = []

    @property
    def address(self) -> str:
        return f"local:{self.directory}"

    @property
    def node(self) -> ProcessNode:
        return ProcessNode(self.directory)

    def start(self) -> None:
        """The process that is the switch, zebra and bgpd; returns once they take commands."""
        for path in (self.directory, self.directory / "frr"):  # FRR's own user writes there
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "frr", "frr")
        script = (
            "mount -t tmpfs tmpfs /run/netns && echo $$ > $0/.pid && mv $0/.pid $0/pid && "
            "exec sleep infinity"
        )
        self._spawn(
            "ip", "netns", "exec", self.namespace,
            "unshare", "-m", "sh", "-c", script, str(self.directory),
        )  # fmt: skip
        _until((self.directory / "pid").exists)
        sockets = self.directory / "frr"
        common = ("--vty_socket", str(sockets), "-A", "127.0.0.1",
                  "-z", str(sockets / "zserv.api"), "-F", "datacenter",
                  "--log", f"file:{self.directory}/frr.log")  # fmt: skip
        for daemon in ("zebra", "bgpd"):
            extra = ("-n",) if daemon == "zebra" else ()
            self._spawn(
                "nsenter", "-t", str(self.pid), "-m", "-n",
                str(_FRR / daemon), *extra, *common, "-i", str(sockets / f"{daemon}.pid"),
                "-f", "/dev/null",
            )  # fmt: skip
            _until(partial(_answers, sockets / f"{daemon}.vty"))

    @property
    def pid(self) -> int:
        return int((self.directory / "pid").read_text())

    def configure(self) -> None:
        """The underlay, as the fabric's owner would have it."""
        neighbors = "\n".join(
            f" neighbor {name} interface remote-as external\n"
            f" neighbor {name} timers 3 9\n neighbor {name} advertisement-interval 0"
            for name in self.fabric_interfaces
        )
        activate = "\n".join(f"  neighbor {name} activate" for name in self.fabric_interfaces)
        self.tell(
            "bgpd",
            f"""configure terminal
router bgp {self.asn}
 bgp router-id {self.loopback}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
{neighbors}
 address-family ipv4 unicast
  network {self.loopback}/32
{activate}
 exit-address-family
 address-family l2vpn evpn
{activate}
  advertise-all-vni
 exit-address-family
end""",
        )

    def tell(self, daemon: str, text: str) -> str:
        """Lines said to a daemon's vty socket; the answers, joined."""
        said = []
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(10)
            stream.connect(str(self.directory / "frr" / f"{daemon}.vty"))
            for line in ["enable", *text.splitlines()]:
                stream.sendall(line.encode() + b"\0")
                answer = b""
                while answer[-4:-1] != b"\0\0\0":
                    answer += stream.recv(65536)
                said.append(answer[:-4].decode())
        return "".join(said)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _spawn(self, *argv: str) -> None:
        with (self.directory / "output").open("ab") as output:
            self.processes.append(
                subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
            )


class Rig:
    """Namespaces with one prefix, so that nothing of it stays behind."""

    def __init__(self, prefix: str, directory: Path) -> None:
        self.prefix = prefix
        self.directory = directory
        self.routers: dict[str, Router] = {}
        self.nodes: list[str] = []

    def namespace(self, node: str) -> str:
        return f"{self.prefix}{node}"

    def inside(self, node: str, *argv: str) -> str:
        """What a command says, run by somebody at a switch's own console."""
        return run("nsenter", "-t", str(self.routers[node].pid), "-m", "-n", *argv)

    def bring_up(self, spines: int, leaves: int) -> None:
        names = [f"s{n + 1}" for n in range(spines)] + [f"l{n + 1}" for n in range(leaves)]
        for number, name in enumerate(names):
            namespace = self._node(name)
            asn = 65100 if name.startswith("s") else 65000 + number
            self.routers[name] = Router(
                namespace, self.directory / name, asn, f"10.255.0.{number + 1}"
            )
            run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                "net.ipv4.fib_multipath_hash_policy=1", node=namespace)  # fmt: skip
            run("ip", "addr", "add", f"10.255.0.{number + 1}/32", "dev", "lo", node=namespace)
        for spine, leaf in itertools.product(names[:spines], names[spines:]):
            self.cable(spine, leaf, leaf, spine, mtu=FABRIC_MTU)
            self.routers[spine].fabric_interfaces.append(leaf)
            self.routers[leaf].fabric_interfaces.append(spine)
        for router in self.routers.values():
            router.start()
        for router in self.routers.values():
            router.configure()

    def add_host(self, name: str, leaf: str, interface: str, *, lower: str = "eth0") -> str:
        """A namespace with one cable to a leaf."""
        namespace = self._node(name) if name not in self.nodes else self.namespace(name)
        self.cable(name, lower, leaf, interface)
        return namespace

    def cable(self, one: str, one_if: str, other: str, other_if: str, *, mtu: int = 1500) -> None:
        ends = [(self.namespace(one), one_if), (self.namespace(other), other_if)]
        run("ip", "link", "add", one_if, "netns", ends[0][0], "type", "veth",
            "peer", "name", other_if, "netns", ends[1][0])  # fmt: skip
        for namespace, interface in ends:
            run("ip", "link", "set", interface, "mtu", str(mtu), "up", node=namespace)

    def dress(
        self, host: str, address: str, *, vlan: int | None = None, gateway: str | None = None
    ) -> None:
        """A host's one address: on its NIC, or in a VLAN of it (an interface `app` of its own).

        The kernel here has no 8021q: the host uses the leaf's programs, mirrored.
        """
        namespace = self.namespace(host)
        run("ip", "addr", "flush", "dev", "eth0", "scope", "global", node=namespace)
        subprocess.run(
            ["ip", "-n", namespace, "link", "del", "app"], capture_output=True, check=False
        )
        interface = "eth0"
        if vlan is not None:
            interface = "app"
            netns.run_in(namespace, lambda: _tag(vlan))
        run("ip", "addr", "add", address, "dev", interface, node=namespace)
        if gateway:
            run("ip", "route", "replace", "default", "via", gateway, node=namespace)

    def tear_down(self) -> None:
        for router in self.routers.values():
            with suppress(OSError):
                router.stop()
        names = [self.namespace(node) for node in self.nodes]
        netns.kill_processes_in(names)
        netns.delete(names)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _node(self, name: str) -> str:
        namespace = self.namespace(name)
        netns.create([namespace])
        run("ip", "link", "set", "lo", "up", node=namespace)
        self.nodes.append(name)
        return namespace


def _tag(vlan: int) -> None:
    """An interface `app` whose frames leave by eth0 with the tag, and the other way round."""
    subprocess.run(
        ["tc", "qdisc", "del", "dev", "eth0", "clsact"], capture_output=True, check=False
    )
    for line in (
        "ip link add app type veth peer name tagger",
        "ethtool -K app tx off", "ip link set app up", "ip link set tagger up",
        "tc qdisc add dev eth0 clsact", "tc qdisc add dev tagger clsact",
    ):  # fmt: skip
        subprocess.run(line.split(), check=True, capture_output=True)
    eth0, tagger = socket.if_nametoindex("eth0"), socket.if_nametoindex("tagger")
    maps = {form.name: kernel.create_map(form) for form in programs.MAPS}
    descriptors = {name: each.descriptor for name, each in maps.items()}
    key, veth = programs.tagged_key(eth0, vlan), struct.pack("=I", tagger)
    maps[programs.TAGGED.name].put(key, veth)
    maps[programs.PORTS.name].put(veth, key)
    from_wire = kernel.load("tagger_in", programs.from_host().assemble(descriptors))
    to_wire = kernel.load("tagger_out", programs.to_host().assemble(descriptors))
    with Netlink() as netlink:
        netlink.tell([filters.set_filter(eth0, "tagger-in", from_wire, "eth0")])
        netlink.tell([filters.set_filter(tagger, "tagger-out", to_wire, "tagger")])
    for descriptor in (from_wire, to_wire, *descriptors.values()):
        os.close(descriptor)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as stream, suppress(OSError):
        stream.connect(os.fspath(path))
        return True
    return False


def _until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up, "a router did not start"
        time.sleep(0.02)
