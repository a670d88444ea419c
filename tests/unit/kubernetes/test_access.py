"""How a cluster is reached, of kubeconfigs as people have them."""

import base64
from pathlib import Path

import pytest

from netwright.kubernetes.access import Access, kubeconfig, service_account
from netwright.model.settings import InvalidConfiguration

PEM = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
BASE64 = base64.b64encode(PEM.encode()).decode()


def text(user: str = "token: secret", cluster: str = "server: https://api:6443/") -> str:
    return f"""
apiVersion: v1
kind: Config
preferences: {{}}
current-context: here
contexts:
- name: there
  context: {{cluster: far, user: nobody}}
- name: here
  context: {{cluster: near, user: agent, namespace: default}}
clusters:
- name: near
  cluster: {{{cluster}}}
users:
- name: agent
  user: {{{user}}}
"""


def read(tmp_path: Path, **parts: str) -> Access:
    return kubeconfig(text(**parts), tmp_path / "config")


def test_the_current_contexts_cluster_and_user(tmp_path: Path) -> None:
    assert read(tmp_path) == Access(server="https://api:6443", token="secret")


def test_certificates_by_file_are_beside_it_and_data_wins(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    certificate = f"client-certificate: gone, client-certificate-data: {BASE64}"
    found = read(
        tmp_path,
        cluster="server: https://api, certificate-authority: ca.crt, tls-server-name: kube",
        user=f"{certificate}, client-key-data: {BASE64}",
    )
    assert (found.authorities, found.certificate, found.key) == (PEM, PEM, PEM)
    assert found.server_name == "kube"


def test_a_tokens_file_is_named_and_read_by_whoever_needs_it(tmp_path: Path) -> None:
    assert read(tmp_path, user="tokenFile: token").token_file == tmp_path / "token"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"user": "exec: {command: aws}"}, "exec"),
        ({"user": "auth-provider: {name: oidc}"}, "auth-provider"),
        ({"user": "username: me, password: no"}, "username"),
        ({"cluster": "server: https://api, proxy-url: http://proxy"}, "proxy-url"),
        ({"cluster": "server: api"}, "is no URL"),
        ({"cluster": "server: https://api, certificate-authority: gone.crt"}, "gone.crt"),
        ({"user": "client-certificate-data: '!'"}, "no base64"),
        ({"cluster": "insecure-skip-tls-verify: true"}, "server"),
    ],
)
def test_what_cannot_be_served_is_named(parts: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=words):
        read(tmp_path, **parts)


def test_a_context_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    wrong = text().replace("current-context: here", "current-context: away")
    with pytest.raises(InvalidConfiguration, match="no context 'away'; it has here, there"):
        kubeconfig(wrong, tmp_path / "config")


def test_a_pods_service_account(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    found = service_account("fd00::1", "443", tmp_path)
    assert found.server == "https://[fd00::1]:443"
    assert found.token_file == tmp_path / "token"


def test_a_process_that_is_in_no_pod_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="runs in no pod"):
        service_account("", "", tmp_path)


@pytest.mark.parametrize(
    "spoilt",
    [
        'users: [{name: a, user: {token: "secret}}]',
        "users:\n- user: {token: secret: x}",
        "users: \t- token: secret",
        "token: !!python/name:x secret",
        "token: secret\0",
        "- " * 5000 + "secret",
    ],
)
def test_what_is_no_kubeconfig_is_told_without_its_secrets(tmp_path: Path, spoilt: str) -> None:
    """A half-written one is read after a 401: agents get to hear why it was not taken."""
    with pytest.raises(InvalidConfiguration, match="this is no YAML: ") as said:
        kubeconfig(spoilt, tmp_path / "config")
    assert "secret" not in str(said.value)
