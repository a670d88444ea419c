"""Plays a container runtime on a lab's host: namespaces for containers, the plugin run as is."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.lab import netns, processes, runtime
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.runtime import Answer, Running, address_of
from netwright.lab.state import Lab
from netwright.model.wire import CONTAINER_OWNER

__all__ = [
    "Answer",
    "Running",
    "Runtime",
    "address_of",
    "build_front_end",
    "containers_ports",
    "devices",
    "is_empty",
]

PLUGINS = Path("/usr/lib/cni")
"""Debian's containernetworking-plugins."""
ROOT = Path(__file__).parents[2]


def build_front_end(directory: Path) -> Path:
    """Compiled from the sources as they are."""
    path = directory / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", path], check=True, timeout=60)
    return path


class Runtime:
    """Of one host. `end` ends what it began, whatever the plugin makes of that."""

    def __init__(self, lab: Lab, host: str, program: Path, labels: str = "app=pods") -> None:
        self.lab = lab
        self.host = host
        self.program = program
        self.config = runtime.configuration(lab, host, labels, deadlineSeconds=30)
        self._begun: set[str] = set()

    def namespace(self, container: str) -> str:
        return self.lab.namespace(f"ct-{self.host}-{container}")

    def netns(self, container: str) -> str:
        return str(netns.FOLDER / self.namespace(container))

    def begin(self, *containers: str) -> None:
        """Sandboxes: empty namespaces."""
        self._begun.update(containers)
        netns.create([self.namespace(one) for one in containers])

    def environment(self, verb: str, container: str, **more: str) -> Mapping[str, str]:
        container_id = f"{self.lab.name}-{self.host}-{container}"
        where = self.netns(container)
        return runtime.variables(verb, container_id, where, path=self.program) | more

    def start(
        self, verb: str, container: str = "", *, config: Mapping[str, Any] = {}, **more: str
    ) -> Running:
        environment = self.environment(verb, container, **more)
        return runtime.start(self.program, {**self.config, **config}, environment)

    def run(
        self, verb: str, container: str = "", *, config: Mapping[str, Any] = {}, **more: str
    ) -> Answer:
        return self.start(verb, container, config=config, **more).finish()

    def add(self, container: str) -> Any:
        """The result of an ADD that must succeed."""
        answer = self.run("ADD", container)
        assert answer.code == 0, answer
        return answer.out

    def chain(
        self, verb: str, container: str, others: Sequence[Mapping[str, Any]], result: Any = None
    ) -> Any:
        """Run a conflist as libcni does: our plugin, then `others` of Debian's, with prevResult.

        What the last one answers; each must succeed. DEL goes the other way round.
        """
        version, name = "1.0.0", self.config["name"]
        plugins = [{**self.config, "cniVersion": version}]
        plugins += [{"cniVersion": version, "name": name, **other} for other in others]
        for plugin in reversed(plugins) if verb == "DEL" else plugins:
            config = plugin if result is None else {**plugin, "prevResult": result}
            is_ours = plugin["type"] == self.config["type"]
            program = self.program if is_ours else PLUGINS / plugin["type"]
            answer = runtime.start(program, config, self.environment(verb, container)).finish()
            assert answer.code == 0, (plugin["type"], answer)
            result = answer.out if verb == "ADD" else result
        return result

    def inside(self, container: str, argv: Sequence[str]) -> str:
        return processes.run(self.namespace(container), list(argv))

    def end_namespaces(self, *containers: str) -> None:
        names = [self.namespace(one) for one in containers]
        netns.kill_processes_in(names)
        netns.delete(names)
        self._begun.difference_update(containers)

    def end(self) -> None:
        begun = sorted(self._begun)
        for one in begun:
            self.run("DEL", one)
        self.end_namespaces(*begun)


def containers_ports(nova: Orchestrator) -> list[dict[str, Any]]:
    return [port for port in nova.ports() if port["device_owner"] == CONTAINER_OWNER]


def devices(nova: Orchestrator, host: str) -> set[str]:
    """Containers' devices: on br-int, and in the host's kernel."""
    plugged = ovs.vsctl(nova.lab, host, ["list-ports", "br-int"]).split()
    found = json.loads(processes.run(nova.lab.namespace(host), ["ip", "-json", "link"]))
    names = {*plugged, *(link["ifname"] for link in found)}
    return {name for name in names if name.startswith("nwc")}


def is_empty(nova: Orchestrator, *hosts: str) -> bool:
    return not containers_ports(nova) and not any(devices(nova, host) for host in hosts)
