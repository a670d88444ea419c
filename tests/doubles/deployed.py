"""What deploy/kubernetes gives a cluster: its documents, and credentials of its accounts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.doubles.kubernetes import Kubernetes

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
RIGHTS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding")
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def manifests() -> list[dict[str, Any]]:
    """All that the kustomization names."""
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    texts = [(DEPLOY / name).read_text() for name in kustomization["resources"]]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def collection(document: Mapping[str, Any]) -> str:
    return COLLECTIONS[document["kind"]].format(document["metadata"].get("namespace"))


def give_rights(kube: Kubernetes) -> None:
    """The accounts and what they may do; nothing that runs."""
    for document in manifests():
        if document["kind"] in RIGHTS:
            kube.call("POST", collection(document), document)


def account(kube: Kubernetes, name: str) -> Path:
    """A kubeconfig by that service account's token, in a file."""
    token = kube.directory / f"{name}.token"
    token.write_text(kube.account_token("netwright", name))
    return kube.kubeconfig(name, {"tokenFile": token.name})
