"""Plays a runtime of containers, as far as networks go: runs the CNI plugin on a lab's host.

A network configuration and variables go in, a result or an error comes out, as the specification
(CNI 1.1.0) has it. What a container is beside its network, nobody here knows.
"""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netwright.cni import installing
from netwright.cni.protocol import NEWEST
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.state import Lab

NETWORK = "pods"
"""What the lab's runtimes call their network."""
INTERFACE = "eth0"
_ENDS_S = 90.0
"""The plugin gives up by itself, at its `deadlineSeconds`."""


class Answer(NamedTuple):
    """Of the plugin: its exit code, what it printed (None: nothing), and how long it took."""

    code: int
    out: Any
    took_s: float

    @property
    def error(self) -> str:
        """An error in words; "" when there is none."""
        if self.code == 0:
            return ""
        out = self.out if isinstance(self.out, dict) else {}
        words = [f"code {out.get('code', '?')}: {out.get('msg', 'nothing was said')}"]
        return "; ".join([*words, *filter(None, [out.get("details")])])


class Running(NamedTuple):
    process: "subprocess.Popen[bytes]"
    began: float

    def finish(self) -> Answer:
        """Waits for its end, at most 90 s (`subprocess.TimeoutExpired`)."""
        out, _ = self.process.communicate(timeout=_ENDS_S)
        took_s = time.perf_counter() - self.began
        return Answer(self.process.returncode, json.loads(out) if out else None, took_s)


def program() -> Path:
    """The front end that `netwright cni install` would install: the compiled one, if there is."""
    return installing.program(in_python=not installing.PROGRAM.exists())


def configuration(lab: Lab, host: str, labels: str, **more: Any) -> dict[str, Any]:
    """What the plugin is told on a host: its object of the conflist, with version and name."""
    socket = str(cni_socket_path(lab, host))
    installed = installing.conflist(NETWORK, NEWEST, labels, socket=socket)
    (plugin,) = installed.pop("plugins")
    return {**installed, **plugin, **more}


def variables(
    verb: str, container_id: str, netns: str, *, path: Path, args: str = ""
) -> dict[str, str]:
    """The plugin's environment; `path` is where the program is."""
    return {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": container_id,
        "CNI_NETNS": netns,
        "CNI_IFNAME": INTERFACE,
        "CNI_PATH": str(path.parent),
        **({"CNI_ARGS": args} if args else {}),
    }


def start(path: Path, config: Mapping[str, Any], environment: Mapping[str, str]) -> Running:
    """Starts the plugin, which has its configuration then."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(config).encode())
    process.stdin.close()
    process.stdin = None
    return Running(process, began)


def address_of(result: Any) -> str:
    """The first address of a result, without its prefix."""
    return str(result["ips"][0]["address"]).partition("/")[0]
