"""podman on a lab's host, with the CNI backend and runc, as Debian ships them.

Images, containers and locks of each host lie in a directory of its own. The image is made here: a
static busybox. Limits are given, since podman's own are more than a container may be allowed.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.cni import installing
from netwright.lab import processes
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.state import Lab

IMAGE = "busybox:lab"
APPLETS = ("sh", "ping", "sleep", "ip", "cat")
PODMAN_S_MAX = 120.0


class Podman:
    def __init__(self, lab: Lab, host: str, directory: Path, labels: str) -> None:
        self.lab = lab
        self.host = host
        self._directory = directory
        self._environment = self._configured(labels)
        self._made: list[str] = []
        self("import", str(self._image()), IMAGE)

    def __call__(self, *arguments: str) -> str:
        """What podman prints. Raises LabError with what it says when it fails."""
        own = [f"--{name}={self._directory / name}" for name in ("root", "runroot", "tmpdir")]
        argv = ["podman", *own, "--storage-driver=vfs", *arguments]
        namespace = self.lab.namespace(self.host)
        return processes.run(namespace, argv, environment=self._environment, timeout_s=PODMAN_S_MAX)

    def start(self, name: str) -> None:
        unique = self._name(name)
        self._made.append(unique)
        self("run", "--detach", "--init=false", "--network=pods", f"--name={unique}", IMAGE,
             "/bin/sleep", "600")  # fmt: skip

    def exec(self, name: str, *argv: str) -> str:
        return self("exec", self._name(name), *argv)

    def restart(self, name: str) -> None:
        self("restart", "--time=0", self._name(name))

    def remove(self, name: str) -> None:
        self._made.remove(self._name(name))
        self("rm", "--force", "--time=0", self._name(name))

    def addresses(self, name: str) -> list[str]:
        """As podman knows them: both families."""
        (found,) = json.loads(self("inspect", self._name(name)))
        network: Mapping[str, Any] = found["NetworkSettings"]["Networks"]["pods"]
        return [str(network["IPAddress"]), str(network["GlobalIPv6Address"])]

    def end(self) -> None:
        for name in self._made:
            self("rm", "--force", "--time=0", name)

    def _name(self, name: str) -> str:
        return f"{self.lab.name}-{self.host}-{name}"

    def _configured(self, labels: str) -> Mapping[str, str]:
        plugins, networks = self._directory / "bin", self._directory / "net.d"
        socket = str(cni_socket_path(self.lab, self.host))
        content = installing.conflist("pods", "1.0.0", labels, socket=socket)
        source = installing.program(in_python=False)
        installing.install(source, plugins, networks / "10-pods.conflist", content)
        text = f"""
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["{plugins}"]
network_config_dir = "{networks}"
"""
        path = self._directory / "containers.conf"
        path.write_text(text)
        return {"CONTAINERS_CONF": os.fspath(path)}

    def _image(self) -> Path:
        root, image = self._directory / "image", self._directory / "image.tar"
        (root / "bin").mkdir(parents=True)
        busybox = root / "bin" / "busybox"
        busybox.write_bytes(Path("/bin/busybox").read_bytes())
        busybox.chmod(0o755)
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        subprocess.run(["tar", "-C", root, "-cf", image, "."], check=True, timeout=30)
        return image
