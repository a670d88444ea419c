"""Plays a container runtime on a lab's host: namespaces for containers, the plugin run as is."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netwright.lab import netns, processes
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.state import Lab

PLUGINS = Path("/usr/lib/cni")
"""Debian's containernetworking-plugins."""
ROOT = Path(__file__).parents[2]


def build_front_end(directory: Path) -> Path:
    """Compiled from the sources as they are."""
    path = directory / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", path], check=True, timeout=60)
    return path


class Answer(NamedTuple):
    code: int
    out: Any
    took_s: float


class Runtime:
    """Of one host. `end` ends what it began, whatever the plugin makes of that."""

    def __init__(self, lab: Lab, host: str, program: Path, labels: str = "app=pods") -> None:
        self.lab = lab
        self.host = host
        self.program = program
        self.config: dict[str, Any] = {
            "cniVersion": "1.1.0",
            "name": "pods",
            "type": "netwright",
            "labels": labels,
            "agentSocket": str(cni_socket_path(lab, host)),
            "deadlineSeconds": 30,
        }
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
        variables = {
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": f"{self.lab.name}-{self.host}-{container}",
            "CNI_NETNS": self.netns(container),
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self.program.parent),
        }
        return variables | more

    def start(
        self, verb: str, container: str = "", *, config: Mapping[str, Any] = {}, **more: str
    ) -> "Running":
        environment = self.environment(verb, container, **more)
        return _started(self.program, {**self.config, **config}, environment)

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
            answer = _started(program, config, self.environment(verb, container)).finish()
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


def _started(program: Path, config: Mapping[str, Any], environment: Mapping[str, str]) -> "Running":
    began = time.perf_counter()
    process = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(config).encode())
    process.stdin.close()
    process.stdin = None
    return Running(process, began)


class Running(NamedTuple):
    process: "subprocess.Popen[bytes]"
    began: float

    def finish(self) -> Answer:
        out, _ = self.process.communicate(timeout=60)
        took_s = time.perf_counter() - self.began
        return Answer(self.process.returncode, json.loads(out) if out else None, took_s)


def address_of(result: Any) -> str:
    """The first address of a result, without its prefix."""
    return str(result["ips"][0]["address"]).partition("/")[0]
