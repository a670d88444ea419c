"""How a cluster is reached: a kubeconfig's current context, or the pod's service account."""

import base64
import binascii
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from netwright.model.documents import Document
from netwright.model.resources import Value
from netwright.model.settings import InvalidConfiguration

IN_CLUSTER = "in-cluster"
"""Instead of a kubeconfig's path: the service account of the pod that this process runs in."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

T = TypeVar("T")


class Access(Value, frozen=True, kw_only=True):
    """Where kube-apiserver is and who asks. Certificates are PEM; "" is the machine's own.

    A token in a file is renewed there by others (a kubelet, every hour), so it is read again.
    """

    server: str
    authorities: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    token_file: Path | None = None
    is_verified: bool = True
    server_name: str = ""


class _Read(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Others' keys, such as `extensions`, are none of our business."""


class _Cluster(_Read, frozen=True, kw_only=True):
    server: str
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _User(_Read, frozen=True, kw_only=True):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    exec: Any = None
    auth_provider: Any = None


class _Context(_Read, frozen=True, kw_only=True):
    cluster: str
    user: str


class _NamedCluster(_Read, frozen=True, kw_only=True):
    name: str
    cluster: _Cluster


class _NamedUser(_Read, frozen=True, kw_only=True):
    name: str
    user: _User


class _NamedContext(_Read, frozen=True, kw_only=True):
    name: str
    context: _Context


class _Kubeconfig(_Read, frozen=True, kw_only=True):
    current_context: str = ""
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()


def kubeconfig(text: str, path: Path) -> Access:
    """The access of a kubeconfig's current context. Raises InvalidConfiguration.

    Relative paths in it are relative to it. Files that it names are read, but for the token's.
    """
    document = Document(text, str(path), InvalidConfiguration)
    found = document.convert(_Kubeconfig)
    named = {one.name: one.context for one in found.contexts}
    context = _named(named, found.current_context, "context", path)
    clusters = {one.name: one.cluster for one in found.clusters}
    users = {one.name: one.user for one in found.users}
    cluster = _named(clusters, context.cluster, "cluster", path)
    user = _named(users, context.user, "user", path)
    _refuse_what_is_not_served(cluster, user, path)
    beside = path.parent
    return Access(
        server=cluster.server.rstrip("/"),
        authorities=_pem(
            beside, cluster.certificate_authority, cluster.certificate_authority_data, path
        ),
        certificate=_pem(beside, user.client_certificate, user.client_certificate_data, path),
        key=_pem(beside, user.client_key, user.client_key_data, path),
        token=user.token.strip(),
        token_file=beside / user.token_file if user.token_file else None,
        is_verified=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
    )


def service_account(host: str, port: str, directory: Path = SERVICE_ACCOUNT) -> Access:
    """The access that Kubernetes gives every pod. Raises InvalidConfiguration where it is none.

    `host` and `port` are KUBERNETES_SERVICE_HOST and _PORT of the pod's environment.
    """
    if not host or not port:
        raise InvalidConfiguration(
            'kubernetes is "in-cluster", but this process runs in no pod: there is no'
            " KUBERNETES_SERVICE_HOST.",
            next="Run it in a pod with a service account, or name a kubeconfig.",
        )
    authorities = _read(directory / "ca.crt", "service account")
    where = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{where}:{port}", authorities=authorities, token_file=directory / "token"
    )


def _named(found: dict[str, T], name: str, what: str, path: Path) -> T:
    if name in found:
        return found[name]
    raise InvalidConfiguration(
        f"{path} has no {what} {name!r}; it has {', '.join(sorted(found)) or 'none'}.",
        next="Name one of them in it, as kubectl config use-context does.",
    )


def _refuse_what_is_not_served(cluster: _Cluster, user: _User, path: Path) -> None:
    wanted = {
        "exec": user.exec is not None,
        "auth-provider": user.auth_provider is not None,
        "username": bool(user.username),
        "proxy-url": bool(cluster.proxy_url),
    }
    if found := [key for key, is_wanted in wanted.items() if is_wanted]:
        raise InvalidConfiguration(
            f"{path} wants {', '.join(found)}, which Netwright does not serve.",
            next="Give it a service account's token, or a client certificate.",
        )
    if not cluster.server.startswith(("https://", "http://")):
        raise InvalidConfiguration(
            f"{path} names the server {cluster.server!r}, which is no URL.",
            next="Write https://HOST:PORT.",
        )


def _pem(beside: Path, file: str, data: str, path: Path) -> str:
    """Data wins, as in kubectl."""
    if not data:
        return _read(beside / file, str(path)) if file else ""
    try:
        return base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidConfiguration(
            f"{path} has certificate data that is no base64 of PEM: {error}.",
            next="Write it anew, such as by kubectl config view --raw --flatten.",
        ) from error


def _read(file: Path, whose: str) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no PEM"
        raise InvalidConfiguration(
            f"{file}, which {whose} names, cannot be read: {why}.",
            next="Correct the path, or give this process the right to it.",
        ) from error
