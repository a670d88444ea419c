"""What docs/guides/kubernetes.md and deploy/kubernetes tell people to write is right."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from netwright.agent.cni import asked
from netwright.agent.config import AgentSettings
from netwright.cli import application
from netwright.cni.protocol import Request
from netwright.kubernetes.access import kubeconfig
from netwright.model.settings import from_document, resolve
from netwright.server.config import ServerSettings

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "guides" / "kubernetes.md"
DEPLOY = ROOT / "deploy" / "kubernetes"
POD = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=uid"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^ *```{language}\n(.*?)^ *```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
    )


def add(plugin: Mapping[str, Any]) -> asked.Asked:
    """What an agent makes of an ADD by this configuration."""
    config = msgspec.json.encode({"cniVersion": "1.0.0", "name": "netwright", **plugin})
    request = Request(
        command="ADD",
        container_id="a",
        netns="/run/netns/a",
        ifname="eth0",
        args=POD,
        deadline_ms=1000,
        config=msgspec.Raw(config),
    )
    return asked.parse(request)


def config_map() -> dict[str, str]:
    documents = yaml.safe_load_all((DEPLOY / "agent.yaml").read_text())
    (found,) = (one["data"] for one in documents if one["kind"] == "ConfigMap")
    return dict(found)


def test_conflists_are_what_agents_take() -> None:
    texts = [*blocks("json"), config_map()["10-netwright.conflist"]]
    assert len(texts) == 2
    for text in texts:
        (plugin,) = json.loads(text)["plugins"]
        found = add(plugin)
        assert found.keep == "while-owner-exists"
        assert found.template is not None
    with_slots = '"portName": "{cluster}/{namespace}/{labels.app}/{slot}", "slots": 100'
    assert with_slots in GUIDE.read_text().replace("\n", " ")
    assert add({**plugin, **json.loads(f"{{{with_slots}}}")}).config.slots == 100


def test_settings_are_settings() -> None:
    texts = [*blocks("toml"), config_map()["netwright.toml"]]
    tables = []
    for text in texts:
        document = tomllib.loads(text)
        (table,) = document
        tables.append(table)
        kind: type[ServerSettings | AgentSettings] = (
            ServerSettings if table == "server" else AgentSettings
        )
        found = resolve(kind, from_document(table, document, "the guide"))
        assert found.kubernetes
    assert tables == ["server", "agent", "agent"]


def test_the_kubeconfig_is_one(tmp_path: Path) -> None:
    text = blocks("yaml")[0]
    (tmp_path / "ca.crt").write_text("PEM")
    beside = text.replace("/etc/netwright/example-ca.crt", "ca.crt")
    assert beside != text
    found = kubeconfig(beside, tmp_path / "config")
    assert found.token_file == Path("/etc/netwright/example.token")


def commands() -> list[list[str]]:
    told = [line.split() for text in blocks("sh") for line in text.splitlines()]
    told += [
        inline.split() for inline in re.findall(r"`(netwright [a-z ]+[^`]*)`", GUIDE.read_text())
    ]
    return [words[1:] for words in told if words[0] == "netwright"]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_there_with_their_options(words: list[str]) -> None:
    path = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    options = [word for word in words if word.startswith("--")]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(application(path), [*path, "--help"])
    assert done.exit_code == 0, done.output
    assert all(option in done.output for option in options)


def test_what_is_named_is_there() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert {*kustomization["resources"], "kustomization.yaml"} == {
        path.name for path in DEPLOY.iterdir()
    }
    for link in re.findall(r"\]\(([^)]+)\)", GUIDE.read_text()):
        assert (GUIDE.parent / link).exists(), link
    assert "deploy/kubernetes" in " ".join(blocks("sh"))
