"""A private kube-apiserver with its etcd, as `make kube` has built them: on loopback alone.

The real programs; there is no controller and no kubelet, so tests play those: what they write is
all there is. Its authority and everybody's credentials are made anew for each.
"""

import datetime as dt
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

START_S_MAX = 60.0
STOP_S_MAX = 20.0
ADMIN_TOKEN = "of-an-administrator"
VERSION = "1.20.2-1"
"""As scripts/build-kube has it: Kubernetes' version and the recipe's number."""


def programs() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "netwright", "kube", VERSION, "bin")


class Kubernetes:
    """One cluster's API. `etcd` keeps what it holds while kube-apiserver is stopped."""

    def __init__(self, directory: Path, ports: Sequence[int]) -> None:
        self.directory = directory
        self.port, self._etcd_port, self._peer_port = ports
        self.url = f"https://127.0.0.1:{self.port}"
        self._api: subprocess.Popen[bytes] | None = None
        self._etcd: subprocess.Popen[bytes] | None = None
        self._authority = _Authority()
        self._write_credentials()
        self._tls = ssl.create_default_context(cafile=str(directory / "ca.crt"))

    # -- life

    def start(self) -> None:
        """Return when it answers."""
        if self._etcd is None:
            self._etcd = self._spawn(
                "etcd",
                f"--data-dir={self.directory}/etcd",
                f"--listen-client-urls=http://127.0.0.1:{self._etcd_port}",
                f"--advertise-client-urls=http://127.0.0.1:{self._etcd_port}",
                f"--listen-peer-urls=http://127.0.0.1:{self._peer_port}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{self._peer_port}",
                f"--initial-cluster=default=http://127.0.0.1:{self._peer_port}",
                "--unsafe-no-fsync",
            )
        here = self.directory
        self._api = self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",  # told to pods, of which none runs
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            "--insecure-port=0",
            f"--tls-cert-file={here}/server.crt",
            f"--tls-private-key-file={here}/server.key",
            f"--client-ca-file={here}/ca.crt",
            f"--token-auth-file={here}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={here}/accounts.key",
            f"--service-account-signing-key-file={here}/accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--api-audiences=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            "--max-requests-inflight=2000",
            "--watch-cache=true",
        )
        until = time.monotonic() + START_S_MAX
        while not self._is_ready():
            if self._api.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"kube-apiserver did not start: {self.log()[-3000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """kube-apiserver is gone at once; etcd stays."""
        assert self._api is not None
        self._api.kill()
        self._api.wait(STOP_S_MAX)
        self._api = None

    def stop(self) -> None:
        for process in (self._api, self._etcd):
            if process is not None:
                process.send_signal(signal.SIGKILL)
                process.wait(STOP_S_MAX)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.kill()
        try:
            yield
        finally:
            self.start()

    def log(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.directory.glob("*.log")))

    # -- what it holds

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        token: str = ADMIN_TOKEN,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Raises urllib.error.HTTPError."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": content_type},
        )
        with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
            return found

    def namespace(self, name: str, annotations: Mapping[str, str] = {}) -> None:
        metadata = {"name": name, "annotations": dict(annotations)}
        self.call("POST", "/api/v1/namespaces", {"metadata": metadata})

    def annotate_namespace(self, name: str, annotations: Mapping[str, str | None]) -> None:
        self._merge(f"/api/v1/namespaces/{name}", annotations)

    def pod(
        self,
        namespace: str,
        name: str,
        node: str = "",
        *,
        labels: Mapping[str, str] = {},
        annotations: Mapping[str, str] = {},
        owner: Mapping[str, Any] | None = None,
    ) -> str:
        """A new pod, bound to the node if one is named; its uid."""
        controller = [{**_reference(owner), "controller": True}] if owner else []
        made = self.call(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods",
            {
                "metadata": {
                    "name": name,
                    "labels": dict(labels),
                    "annotations": dict(annotations),
                    "ownerReferences": controller,
                },
                "spec": {
                    "containers": [{"name": "main", "image": "none"}],
                    "terminationGracePeriodSeconds": 0,
                },
            },
        )
        if node:
            self.bind(namespace, name, node)
        return str(made["metadata"]["uid"])

    def bind(self, namespace: str, name: str, node: str) -> None:
        """As a scheduler does."""
        binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
        self.call("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)

    def annotate(self, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        self._merge(f"/api/v1/namespaces/{namespace}/pods/{name}", annotations)

    def delete_pod(self, namespace: str, name: str) -> None:
        """As a kubelet does when the pod has ended."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.call("DELETE", path, {"gracePeriodSeconds": 0})

    def owner(self, kind: str, namespace: str, name: str, owner: Any = None) -> dict[str, Any]:
        """A StatefulSet, Deployment, ReplicaSet or Job; what a pod's or a ReplicaSet's owner is."""
        labels = {"app": name}
        pod: dict[str, Any] = {"containers": [{"name": "main", "image": "none"}]}
        spec: dict[str, Any] = {"template": {"metadata": {"labels": labels}, "spec": pod}}
        if kind == "Job":
            pod["restartPolicy"] = "Never"
        else:
            spec["selector"] = {"matchLabels": labels}
        if kind == "StatefulSet":
            spec["serviceName"] = name
        metadata: dict[str, Any] = {"name": name}
        if owner:
            metadata["ownerReferences"] = [{**_reference(owner), "controller": True}]
        made = self.call("POST", _path(kind, namespace), {"metadata": metadata, "spec": spec})
        return {"kind": kind, "apiVersion": _GROUP[kind], "metadata": made["metadata"]}

    def delete_owner(self, owner: Mapping[str, Any]) -> None:
        metadata = owner["metadata"]
        path = _path(owner["kind"], metadata["namespace"])
        body = {"propagationPolicy": "Background"}
        self.call("DELETE", f"{path}/{metadata['name']}", body)

    def account_token(self, namespace: str, account: str) -> str:
        """A service account's token, as a kubelet gets one for a pod (TokenRequest)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        wish = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
        return str(self.call("POST", path, wish)["status"]["token"])

    def kubeconfig(self, name: str, user: Mapping[str, Any]) -> Path:
        """A kubeconfig with these credentials."""
        path = self.directory / f"{name}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": "ca.crt"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": name}}],
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": name, "user": dict(user)}],
        }
        path.write_bytes(msgspec.yaml.encode(content))
        return path

    def admin_kubeconfig(self) -> Path:
        """By a client certificate, whose files it names."""
        return self.kubeconfig(
            "admin", {"client-certificate": "admin.crt", "client-key": "admin.key"}
        )

    def _merge(self, path: str, annotations: Mapping[str, str | None]) -> None:
        body = {"metadata": {"annotations": dict(annotations)}}
        self.call("PATCH", path, body, content_type="application/merge-patch+json")

    def _is_ready(self) -> bool:
        try:
            self.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")
            self.call("GET", "/api/v1/namespaces/kube-system")
        except (OSError, ValueError):
            return False
        return True

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        path = programs() / program
        assert path.exists(), f"{path} is not there: run make kube"
        with (self.directory / f"{program}.log").open("ab") as output:
            return subprocess.Popen(
                [str(path), *arguments], stdout=output, stderr=output, cwd=self.directory
            )

    def _write_credentials(self) -> None:
        here, authority = self.directory, self._authority
        (here / "ca.crt").write_bytes(authority.certificate)
        for name, common, group in (
            ("server", "127.0.0.1", ""),
            ("admin", "admin", "system:masters"),
            ("accounts", "accounts", ""),
        ):
            certificate, key = authority.issue(common, group)
            (here / f"{name}.crt").write_bytes(certificate)
            (here / f"{name}.key").write_bytes(key)
        (here / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,1,"system:masters"\n')


class _Authority:
    """A certificate authority of a day."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "netwright tests")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        found = self._builder(self._name, self._key.public_key()).add_extension(
            constraints, critical=True
        )
        signed = found.sign(self._key, hashes.SHA256())
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)

    def issue(self, common: str, group: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
        if group:
            names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        built = self._builder(x509.Name(names), key.public_key())
        signed = built.add_extension(addresses, critical=False).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> Any:
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )


_GROUP = {"StatefulSet": "apps/v1", "Deployment": "apps/v1", "ReplicaSet": "apps/v1",
          "Job": "batch/v1"}  # fmt: skip


def _path(kind: str, namespace: str) -> str:
    return f"/apis/{_GROUP[kind]}/namespaces/{namespace}/{kind.lower()}s"


def _reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


@contextmanager
def kubernetes(ports: Sequence[int]) -> Iterator[Kubernetes]:
    """A running one at three free ports of loopback, which is stopped and removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="nwk-", dir="/var/tmp"))
    found = Kubernetes(directory, ports)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory)
