"""`netwright agent`: what is wrong is said before anything is touched."""

import subprocess
import sys
from pathlib import Path

import pytest

from netwright.agent.config import AgentSettings


def run(*arguments: str, configuration: str = "/dev/null") -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'netwright'; from netwright.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "agent", *arguments, "--config", configuration],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--server", "nowhere"), "server is 'nowhere', but must be a URL"),
        (("--driver", "magic"), "magic"),
        (("--physical-network", "physnet1"), "must have NAME=VALUE"),
        (("--ovsdb", "tcp:127.0.0.1:6640"), "ovsdb"),
        (
            ("--physical-network", "fabric=br-a", "--fabric-bridge", "br-b"),
            "physical network 'fabric' has another bridge, 'br-a'",
        ),
        (("--lldp-socket", ""), "lldp-socket"),
        (("--cni-socket", ""), "cni-socket"),
        (("--token-file", "/nowhere/token"), "/nowhere/token cannot be read"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(arguments: tuple[str, ...], complaint: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr


def test_a_bond_on_a_bridge_of_no_network_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[agent]\nbond = {bridge = "br-x", members = ["eth0", "eth1"]}\n')
    done = run(configuration=str(file))
    assert done.returncode == 2
    assert "br-x" in done.stderr


def test_the_server_hears_the_management_address_without_its_prefix() -> None:
    assert AgentSettings(management_ip="10.0.0.11/24").management_address == "10.0.0.11"
    with pytest.raises(ValueError, match="ADDRESS/PREFIX"):
        AgentSettings(management_ip="10.0.0.11")
