"""A node's own Open vSwitch: database server and switch daemon, told apart by their directories."""

import shutil
import subprocess
from pathlib import Path

from netwright.lab import processes
from netwright.lab.errors import LabError
from netwright.lab.processes import Command
from netwright.lab.state import Lab

DATABASE_SERVER = "ovsdb-server"
SWITCH_DAEMON = "ovs-vswitchd"
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_TRANSACTION_TIMEOUT_S = 30
_ANSWER_TIMEOUT_S = 10


def run_directory(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "ovs"


def database(lab: Lab, node: str) -> str:
    """The OVSDB server's address, as ovs-vsctl and the agent take it."""
    return f"unix:{run_directory(lab, node)}/db.sock"


def environment(lab: Lab, node: str) -> dict[str, str]:
    """With this, ovs-vsctl, ovs-ofctl and ovs-appctl talk to the node's OVS."""
    directory = str(run_directory(lab, node))
    names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
    return dict.fromkeys(names, directory)


def create_template(lab: Lab) -> Path:
    """An empty database, to be copied for each node: a copy is quicker than a conversion."""
    template = lab.directory / "ovs-template.db"
    done = subprocess.run(
        ["ovsdb-tool", "create", str(template), str(_SCHEMA)],
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        msg = f"lab {lab.name}: no OVS database from {_SCHEMA}: {done.stderr.strip()}"
        raise LabError(msg)
    return template


def start(lab: Lab, node: str, template: Path) -> None:
    """Both processes, ready to take transactions. Raises LabError with what they said."""
    directory = run_directory(lab, node)
    directory.mkdir(parents=True)
    shutil.copy(template, directory / "conf.db")
    variables = environment(lab, node)
    for name, arguments in (
        (DATABASE_SERVER, (f"{directory}/conf.db", f"--remote=punix:{directory}/db.sock")),
        (SWITCH_DAEMON, ("--disable-system", database(lab, node))),
    ):
        pidfile = f"{directory}/{name}.pid"
        common = ("-vconsole:emer", "-vsyslog:off", f"--log-file={directory}/{name}.log")
        argv = (name, *arguments, *common, "--no-chdir", "--detach", f"--pidfile={pidfile}")
        processes.start(lab, node, name, Command(argv, variables, pidfile))


def vsctl(lab: Lab, node: str, arguments: list[str]) -> str:
    """One transaction; returns once the switch daemon has done it. Raises LabError."""
    timeout = f"--timeout={_TRANSACTION_TIMEOUT_S}"
    argv = ["ovs-vsctl", timeout, f"--db={database(lab, node)}", *arguments]
    return processes.run(lab.namespace(node), argv, timeout_s=_TRANSACTION_TIMEOUT_S + 5)


def appctl(lab: Lab, node: str, *arguments: str) -> str:
    """Asks the switch daemon itself. Raises LabError when it does not answer within 10 s."""
    argv = ["ovs-appctl", f"--timeout={_ANSWER_TIMEOUT_S}", *arguments]
    return processes.run(lab.namespace(node), argv, environment=environment(lab, node))
