"""A private Open vSwitch in a network namespace of its own, for the tests of agent/ovs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def run(*command: str, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


class OvsRig:
    """ovsdb-server and ovs-vswitchd (userspace datapath) in namespace `netns`; both restartable."""

    def __init__(self, netns: str, directory: Path) -> None:
        self.netns = netns
        self.directory = directory
        self.instances: list[str] = []
        self._env = os.environ | dict.fromkeys(
            ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"), str(directory)
        )
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def ovsdb_path(self) -> Path:
        return self.directory / "db.sock"

    def up(self) -> None:
        run("ip", "netns", "add", self.netns)
        self.exec("ip", "link", "set", "lo", "up")
        run("ovsdb-tool", "create", str(self.directory / "conf.db"), SCHEMA)
        self.start_ovsdb()
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    def down(self) -> None:
        for name in list(self._daemons):
            self.stop(name)
        for netns in (*self.instances, self.netns):
            run("ip", "netns", "del", netns)

    def start_ovsdb(self) -> None:
        self._start(
            "ovsdb-server", str(self.directory / "conf.db"), f"--remote=punix:{self.ovsdb_path}"
        )
        wait_for(self.ovsdb_path.exists, "ovsdb-server's socket")

    def start_vswitchd(self) -> None:
        self._start("ovs-vswitchd", f"unix:{self.ovsdb_path}")

    def stop(self, name: str, signum: int = signal.SIGTERM) -> None:
        daemon = self._daemons.pop(name)
        daemon.send_signal(signum)
        daemon.wait(10)

    def exec(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.netns}", *command)

    def vsctl(self, *arguments: str) -> str:
        return run("ovs-vsctl", f"--db=unix:{self.ovsdb_path}", "--timeout=10", *arguments)

    def ofctl(self, *arguments: str) -> str:
        command, bridge, *rest = arguments
        return run(
            "ovs-ofctl", "-OOpenFlow14", command, str(self.directory / f"{bridge}.mgmt"), *rest
        )

    def appctl(self, *arguments: str) -> str:
        (control,) = self.directory.glob("ovs-vswitchd.*.ctl")
        return run("ovs-appctl", "-t", str(control), *arguments)

    def instance(self, name: str, mac: str, *addresses: str, port_id: str | None = None) -> str:
        """Make a namespace with eth0; plug it into br-int as an orchestrator would."""
        netns, tap = f"{self.netns}-{name}", f"tap{name}"
        run("ip", "netns", "add", netns)
        self.instances.append(netns)
        self.exec("ip", "link", "add", tap, "type", "veth", "peer", "name", "eth0", "netns", netns)
        self.exec("ip", "link", "set", tap, "up")
        enter = ("nsenter", f"--net=/run/netns/{netns}")
        run(*enter, "ip", "link", "set", "lo", "up")
        run(*enter, "ip", "link", "set", "eth0", "address", mac, "up")
        run(*enter, "ethtool", "-K", "eth0", "tx-checksum-ip-generic", "off")
        for address in addresses:
            run(
                *enter,
                "ip",
                "address",
                "add",
                address,
                "dev",
                "eth0",
                *(("nodad",) if ":" in address else ()),
            )
        if port_id is not None:
            self.plug(tap, port_id)
        return netns

    def plug(self, tap: str, port_id: str) -> None:
        self.vsctl(
            "add-port", "br-int", tap, "tag=4095",
            "--", "set", "Interface", tap, f"external_ids:iface-id={port_id}",
        )  # fmt: skip

    def _start(self, program: str, *arguments: str) -> None:
        self._daemons[program] = subprocess.Popen(
            [
                "nsenter", f"--net=/run/netns/{self.netns}", program, *arguments,
                "--pidfile", f"--log-file={self.directory}/{program}.log", "-vconsole:off",
            ],
            env=self._env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
