"""How a node is reached by whoever configures it: `local:DIRECTORY` in the inventory.

The directory is the node's; in it

    pid         the node's first process: it lives as long as the node, in its network namespace and
                in a mount namespace of its own. With its start time it tells one boot from the next
    pid.cut     the same, while the node's management link is cut: there is no `pid` then, and
                whoever configures it must look before each call
    frr/        where there is FRR: its sockets, configuration, logs; /run/frr inside the node
    ovs/        where there is Open vSwitch: db.sock, and the daemons' own sockets

Inside, a tmpfs lies over /run/netns: `zebra -n` takes every namespace that it sees there as a VRF.
"""

import time
from contextlib import suppress
from pathlib import Path

from netwright.lab import netns, processes
from netwright.lab.errors import LabError
from netwright.lab.processes import Command
from netwright.lab.state import Lab

_START_TIMEOUT_S = 10.0
# $0 is the directory. What other labs have mounted in /run/netns must not be held by this one.
_FIRST_PROCESS = """\
umount -R -l /run/netns
mount -t tmpfs -o mode=755 none /run/netns || exit
if [ -d "$0/frr" ]; then mkdir -p /run/frr && mount --bind "$0/frr" /run/frr || exit; fi
echo $$ >"$0/.pid.part" && mv "$0/.pid.part" "$0/pid" && exec sleep infinity
"""


def address(lab: Lab, node: str) -> str:
    """As the inventory's `Switch.address` has it."""
    return f"local:{lab.node_directory(node)}"


def start(lab: Lab, node: str) -> int:
    """Starts the first process; its pid, once its mount namespace is made. Raises LabError."""
    directory = lab.node_directory(node)
    forget(lab, node)
    script = Command(("unshare", "--mount", "sh", "-c", _FIRST_PROCESS, str(directory)))
    log = directory / "boot.log"
    pid = netns.run_in(lab.namespace(node), lambda: processes.spawn(script, log))
    give_up = time.monotonic() + _START_TIMEOUT_S
    while not _pid_path(lab, node).exists():
        if time.monotonic() > give_up or not Path(f"/proc/{pid}/exe").exists():
            said = log.read_text(errors="replace").strip()
            msg = f"lab {lab.name}: {node} does not start: {said or 'it says nothing'}"
            raise LabError(msg)
        time.sleep(0.002)  # nobody tells when another process has mounted something
    return pid


def forget(lab: Lab, node: str) -> None:
    """The node is off: its first process is no more."""
    _pid_path(lab, node).unlink(missing_ok=True)
    _cut_path(lab, node).unlink(missing_ok=True)


def cut(lab: Lab, node: str) -> None:
    """Nobody reaches the node any more, though it runs on; no error if that is so already."""
    with suppress(FileNotFoundError):
        _pid_path(lab, node).rename(_cut_path(lab, node))


def restore(lab: Lab, node: str) -> None:
    """It is reached again; no error if it is now."""
    with suppress(FileNotFoundError):
        _cut_path(lab, node).rename(_pid_path(lab, node))


def is_cut(lab: Lab, node: str) -> bool:
    return _cut_path(lab, node).exists()


def first_process(lab: Lab, node: str) -> int | None:
    """Its pid, whether or not others reach the node; None when it is off, or has none."""
    for path in (_pid_path(lab, node), _cut_path(lab, node)):
        with suppress(FileNotFoundError):
            return int(path.read_text())
    return None


def in_mounts_of(pid: int) -> tuple[str, ...]:
    """What precedes a command that shall see the files that a node's own processes see."""
    return ("nsenter", f"--mount=/proc/{pid}/ns/mnt", "--")


def _pid_path(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "pid"


def _cut_path(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "pid.cut"
