"""containerd on a lab's host, driven as a kubelet drives it, with runc, as Debian ships them.

Its state, configuration, plugins and image lie in a directory of its own; the image is made here: a
static busybox, also for what keeps a sandbox. Each network is a runtime handler's, so that one
containerd makes sandboxes by several plugins. What it makes by itself is in the host's namespace.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab.cri_wire import CallError, call

from netwright.cni import installing
from netwright.lab import processes
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.orchestrator import eventually
from netwright.lab.processes import Command
from netwright.lab.state import Lab

CONTAINERD = "containerd"
IMAGE = "localhost/busybox:lab"
APPLETS = ("sh", "ping", "sleep", "ip", "cat")
STOCK_PLUGINS = Path("/usr/lib/cni")
LOOPBACK = "loopback"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
DEFAULT = "pods"
START_S_MAX = 60.0
CALL_S_MAX = 120.0
EXEC_S_MAX = 60
READY = 0
"""A sandbox's state: its process runs."""


class Sandbox(NamedTuple):
    id: str
    config: Mapping[str, Any]


class Containerd:
    """Running, with its image. `end` ends what was made.

    `networks` are conflists by runtime handler: DEFAULT is that of sandboxes that name none.
    """

    def __init__(
        self, lab: Lab, host: str, directory: Path, networks: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.lab = lab
        self.host = host
        self.plugins = directory / "bin"
        self.configurations = directory / "net.d"
        self.socket = directory / "containerd.sock"
        self.namespaces = directory / "state" / "io.containerd.grpc.v1.cri" / "netns"
        """Where it keeps its sandboxes' network namespaces."""
        self.runc = directory / "runc"
        """Where runc keeps its containers."""
        self._directory = directory
        self.control_group = f"{lab.name}-{host}"
        self._install(networks)
        path = directory / "config.toml"
        path.write_text(self._configuration(networks))
        processes.start(lab, host, CONTAINERD, Command((CONTAINERD, "--config", str(path))))
        self._wait()
        self.ctr("images", "import", str(_image(directory / "image.tar")))

    # -- the daemon

    def kill(self) -> None:
        """SIGKILL; what it started goes on."""
        self._stop(signal.SIGKILL)

    def restart(self) -> None:
        processes.restart(self.lab, self.host, CONTAINERD)
        self._wait()

    def end(self) -> None:
        """Whatever state it is in. Raises CallError with what cannot be ended."""
        if not processes.is_alive(processes.find(self.lab, self.host, CONTAINERD)):
            self.restart()
        try:
            for task in self.ctr("tasks", "list", "--quiet").split():
                if task.startswith(self.lab.name):  # of a `run_as_ctr` that failed
                    self.ctr("tasks", "delete", "--force", task)
            for one in self.sandboxes():
                self.call("StopPodSandbox", pod_sandbox_id=one)
                self.call("RemovePodSandbox", pod_sandbox_id=one)
        finally:
            self._stop(signal.SIGTERM)
        for above in ("", "*/"):  # version 2 of control groups has one tree, version 1 many
            for each in CONTROL_GROUPS.glob(above + self.control_group):
                each.rmdir()

    def ctr(self, *arguments: str) -> str:
        """What `ctr` prints, of the sandboxes' images and containers. Raises LabError."""
        argv = ["ctr", f"--address={self.socket}", "--namespace=k8s.io", *arguments]
        return processes.run(self.lab.namespace(self.host), argv, timeout_s=CALL_S_MAX)

    # -- what a kubelet asks

    def call(self, method: str, **request: Any) -> dict[str, Any]:
        """Raises CallError."""
        return call(self.socket, method, CALL_S_MAX, **request)

    def run(self, pod: str, *, handler: str = "") -> Sandbox:
        """A sandbox of the pod, ready. Raises CallError."""
        config = {
            "metadata": {"name": pod, "namespace": "default", "uid": f"{self.host}-{pod}"},
            "hostname": pod,
            "log_directory": str(self._directory / "logs" / pod),
            "linux": {"cgroup_parent": f"/{self.control_group}"},
        }
        made = self.call("RunPodSandbox", config=config, runtime_handler=handler)
        return Sandbox(made["pod_sandbox_id"], config)

    def sandboxes(self) -> list[str]:
        """All that it knows, ready or not."""
        return [str(each["id"]) for each in self.call("ListPodSandbox")["items"]]

    def addresses(self, sandbox: Sandbox) -> list[str]:
        """As containerd knows them: both families. The sandbox must be ready."""
        status = self.call("PodSandboxStatus", pod_sandbox_id=sandbox.id)["status"]
        assert status["state"] == READY, status
        network = status["network"]
        return [network["ip"], *(each["ip"] for each in network["additional_ips"])]

    def container(self, sandbox: Sandbox) -> str:
        """A container that sleeps, in the sandbox: its id."""
        config = {
            "metadata": {"name": "main"},
            "image": {"image": IMAGE},
            "command": ["/bin/sleep", "600"],
        }
        asked = {"pod_sandbox_id": sandbox.id, "sandbox_config": sandbox.config}
        made = self.call("CreateContainer", config=config, **asked)
        self.call("StartContainer", **made)
        return str(made["container_id"])

    def exec(self, container: str, *argv: str) -> str:
        """What a program in the container prints, whatever becomes of it."""
        done = self.call("ExecSync", container_id=container, cmd=argv, timeout=EXEC_S_MAX)
        return str(done["stdout"] + done["stderr"])

    def stop(self, sandbox: Sandbox) -> None:
        self.call("StopPodSandbox", pod_sandbox_id=sandbox.id)

    def remove(self, sandbox: Sandbox) -> None:
        self.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)

    # -- how it is set up

    def _install(self, networks: Mapping[str, Mapping[str, Any]]) -> None:
        self.plugins.mkdir(parents=True)
        for handler, content in networks.items():
            conf = self.configurations / handler / f"10-{content['name']}.conflist"
            conf.parent.mkdir(parents=True)
            conf.write_text(json.dumps(content))
            for one in content["plugins"]:
                self._install_plugin(one["type"])
                self._install_plugin(one.get("ipam", {}).get("type"))
        self._install_plugin(LOOPBACK)

    def _install_plugin(self, name: str | None) -> None:
        if name is None:
            return
        ours = name == installing.TYPE
        source = installing.program(in_python=False) if ours else STOCK_PLUGINS / name
        shutil.copy(source, self.plugins / name)

    def _configuration(self, networks: Mapping[str, Mapping[str, Any]]) -> str:
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        text = f"""
version = 2
root = "{self._directory / "root"}"
state = "{self._directory / "state"}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{self.socket}"
[{cri}]
sandbox_image = "{IMAGE}"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true
disable_apparmor = true
[{cri}.cni]
bin_dir = "{self.plugins}"
conf_dir = "{self.configurations / DEFAULT}"
[{cri}.containerd]
default_runtime_name = "{DEFAULT}"
"""
        for handler in networks:
            runtime = f"{cri}.containerd.runtimes.{handler}"
            text += f"""
[{runtime}]
runtime_type = "io.containerd.runc.v2"
cni_conf_dir = "{self.configurations / handler}"
[{runtime}.options]
Root = "{self.runc}"
SystemdCgroup = false
"""
        return text

    def _wait(self) -> None:
        """Until its networks are there too: a runtime that starts looks for them by and by."""

        def is_ready() -> bool:
            try:
                conditions = self.call("Status")["status"]["conditions"]
            except CallError:
                return False
            return bool(conditions) and all(each["status"] for each in conditions)

        log = self.lab.node_directory(self.host) / f"{CONTAINERD}.log"
        assert eventually(is_ready, START_S_MAX), f"containerd is not ready; see {log}"

    def _stop(self, number: signal.Signals) -> None:
        process = processes.find(self.lab, self.host, CONTAINERD)
        processes.stop(process, number, timeout_s=START_S_MAX)


def conflist(lab: Lab, host: str, labels: str) -> Mapping[str, Any]:
    """The network of this plugin alone, of the newest version that Debian's containerd knows."""
    socket = str(cni_socket_path(lab, host))
    return installing.conflist(DEFAULT, "1.0.0", labels, socket=socket)


def run_as_ctr(one: Containerd, name: str, *argv: str) -> str:
    """What a container prints that `ctr run --cni` runs to its end, and removes.

    `ctr` looks for networks and plugins where the machine keeps them: it is shown ours there.
    """
    script = """
mount -t tmpfs none /opt && mkdir -p /opt/cni /etc/cni && mount -t tmpfs none /etc/cni &&
ln -s "$1" /opt/cni/bin && ln -s "$2" /etc/cni/net.d && shift 2 && exec "$@"
"""
    ctr = ["ctr", f"--address={one.socket}", "--namespace=k8s.io", "run", "--rm", "--cni"]
    ctr += [f"--runc-root={one.runc}", f"--cgroup=/{one.control_group}/{name}"]
    shown = [str(one.plugins), str(one.configurations / DEFAULT)]
    ran = ["unshare", "--mount", "sh", "-c", script, "sh", *shown, *ctr, IMAGE, name, *argv]
    return processes.run(one.lab.namespace(one.host), ran, timeout_s=CALL_S_MAX)


def _image(path: Path) -> Path:
    """An OCI image layout, as `ctr images import` takes it: busybox and its names."""
    layer = _tar({"bin/busybox": Path("/bin/busybox").read_bytes()}, links=APPLETS)
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Entrypoint": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    kind = "application/vnd.oci.image"
    contents = {
        "layer": (f"{kind}.layer.v1.tar", layer),
        "config": (f"{kind}.config.v1+json", json.dumps(config).encode()),
    }
    described = {name: _descriptor(*each) for name, each in contents.items()}
    manifest = {"schemaVersion": 2, "config": described["config"], "layers": [described["layer"]]}
    contents["manifest"] = (f"{kind}.manifest.v1+json", json.dumps(manifest).encode())
    entry = {
        **_descriptor(*contents["manifest"]),
        "annotations": {"io.containerd.image.name": IMAGE},
    }
    files = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
    }
    for _, content in contents.values():
        files[f"blobs/{_digest(content).replace(':', '/')}"] = content
    path.write_bytes(_tar(files))
    return path


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar(files: Mapping[str, bytes], *, links: tuple[str, ...] = ()) -> bytes:
    """Of executable files, and links to busybox."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for name in links:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return out.getvalue()
