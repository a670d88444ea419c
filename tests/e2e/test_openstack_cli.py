"""The unmodified `openstack` command line against our server, as people use it without Keystone."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import pytest
from tests.e2e.conftest import Server

# Starting Python with the client's imports takes a second: one process runs all commands of a
# module, each through the client's own entry point.
_DRIVER = """
import contextlib, io, json, sys
from openstackclient.shell import main
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(json.loads(line))
        except SystemExit as exit:
            code = exit.code
    answer = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
    print(json.dumps(answer), flush=True)
"""


VLAN = "--provider-network-type vlan --provider-physical-network physnet1 --provider-segment"


class Cli:
    """`openstack` with the options that lead to a server; `within` is a command to run it by."""

    def __init__(self, *options: str, within: Sequence[str] = ()) -> None:
        self._options = options
        self._process = subprocess.Popen(
            [*within, sys.executable, "-W", "ignore", "-c", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str, str]:
        stdin, stdout = (cast("IO[str]", s) for s in (self._process.stdin, self._process.stdout))
        stdin.write(json.dumps([*self._options, *command.split()]) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        return answer["code"], answer["out"], answer["err"]

    def __call__(self, command: str) -> Any:
        """What the command shows, as JSON where it shows something; it has to succeed."""
        verb = set(command.split()) & {"create", "show", "list"}
        code, out, err = self.run(f"{command} -f json" if verb else command)
        assert code == 0, f"{command}: {out}{err}"
        return json.loads(out) if verb else out

    def refused(self, command: str) -> str:
        """What the command says when the server refuses it."""
        code, out, err = self.run(command)
        assert code != 0, f"{command}: {out}"
        return out + err

    def close(self) -> None:
        cast("IO[str]", self._process.stdin).close()
        cast("IO[str]", self._process.stdout).close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def openstack(open_server: Server) -> Iterator[Cli]:
    cli = Cli("--os-auth-type", "none", "--os-endpoint", open_server.url)
    yield cli
    cli.close()


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["Name"] for row in rows)


def test_networks(openstack: Cli) -> None:
    made = openstack(f"network create blue {VLAN} 101 --mtu 1450 --share --description sky")
    assert (made["provider:segmentation_id"], made["mtu"], made["shared"]) == (101, 1450, True)
    openstack(f"network create green {VLAN} 102 --no-share --disable-port-security")
    assert _names(openstack("network list --long")) == ["blue", "green"]
    assert _names(openstack("network list --share --provider-segment 101")) == ["blue"]
    assert _names(openstack("network list --name green")) == ["green"]
    openstack("network set green --name emerald --enable-port-security --disable")
    shown = openstack("network show emerald")
    assert (shown["port_security_enabled"], shown["admin_state_up"]) == (True, False)
    assert "101" in openstack.refused(f"network create again {VLAN} 101")
    assert "No Network found for red" in openstack.refused("network show red")
    openstack("network delete emerald blue")
    assert openstack("network list") == []


def test_subnets(openstack: Cli) -> None:
    openstack(f"network create n {VLAN} 110")
    made = openstack(
        "subnet create four --network n --subnet-range 10.9.0.0/24 --dns-nameserver 10.9.0.3"
        " --host-route destination=10.0.0.0/8,gateway=10.9.0.2"
        " --allocation-pool start=10.9.0.10,end=10.9.0.20"
    )
    assert (made["gateway_ip"], made["dns_nameservers"]) == ("10.9.0.1", ["10.9.0.3"])
    assert made["allocation_pools"] == [{"start": "10.9.0.10", "end": "10.9.0.20"}]
    openstack("subnet create six --network n --subnet-range 2001:db8::/64 --ip-version 6 --no-dhcp")
    assert _names(openstack("subnet list --network n --ip-version 6")) == ["six"]
    openstack("subnet set four --name five --no-dns-nameservers --gateway 10.9.0.254 --no-dhcp")
    shown = openstack("subnet show five")
    assert (shown["gateway_ip"], shown["dns_nameservers"]) == ("10.9.0.254", [])
    refusal = openstack.refused("subnet create x --network n --subnet-range 10.9.0.128/25")
    assert "overlap" in refusal
    openstack("subnet delete five six")
    openstack("network delete n")


def test_ports(openstack: Cli) -> None:
    openstack(f"network create n {VLAN} 110")
    openstack("subnet create s --network n --subnet-range 10.9.0.0/24")
    made = openstack(
        "port create a --network n --fixed-ip subnet=s,ip-address=10.9.0.11 --device vm1"
        " --device-owner compute:nova --host nowhere --vnic-type normal --binding-profile k=v"
        " --allowed-address ip-address=10.9.0.99"
    )
    assert made["fixed_ips"][0]["ip_address"] == "10.9.0.11"
    assert (made["binding_host_id"], made["binding_profile"]) == ("nowhere", {"k": "v"})
    assert made["binding_vif_type"] == "binding_failed"
    assert made["allowed_address_pairs"][0]["ip_address"] == "10.9.0.99"
    openstack("port create b --network n --no-fixed-ip --mac-address fa:16:3e:11:22:33")
    openstack("port create c --network n --no-security-group --disable-port-security")
    assert _names(openstack("port list --network n --long")) == ["a", "b", "c"]
    assert _names(openstack("port list --fixed-ip ip-address=10.9.0.11")) == ["a"]
    assert _names(openstack("port list --mac-address FA:16:3E:11:22:33")) == ["b"]
    assert _names(openstack("port list --device-owner compute:nova --host nowhere")) == ["a"]
    assert "10.9.0.11" in openstack.refused(
        "port create d --network n --fixed-ip ip-address=10.9.0.11"
    )
    openstack("port set b --name bee --fixed-ip subnet=s --description d --disable")
    shown = openstack("port show bee")
    assert (len(shown["fixed_ips"]), shown["admin_state_up"]) == (1, False)
    openstack("port unset a --host --binding-profile k")
    openstack("port set a --no-allowed-address")
    shown = openstack("port show a")
    assert (shown["binding_host_id"], shown["binding_vif_type"]) == ("", "unbound")
    assert (shown["binding_profile"], shown["status"]) == ({}, "DOWN")
    assert shown["allowed_address_pairs"] == []
    assert "1 of 1 networks failed to delete" in openstack.refused("network delete n")
    openstack("port delete a bee c")
    openstack("subnet delete s")
    openstack("network delete n")


def test_what_is_only_read(openstack: Cli) -> None:
    openstack(f"network create n {VLAN} 110")
    openstack("subnet create s --network n --subnet-range 10.9.0.0/24")
    openstack("port create a --network n")
    (row,) = openstack("ip availability list")
    assert (row["Network Name"], row["Total IPs"], row["Used IPs"]) == ("n", 253, 1)
    shown = openstack("ip availability show n")
    assert [one["cidr"] for one in shown["subnet_ip_availability"]] == ["10.9.0.0/24"]
    assert openstack("ip availability list --ip-version 6") == []
    assert openstack("network agent list") == []
    assert openstack("availability zone list --network") == []
    openstack("port delete a")
    openstack("subnet delete s")
    openstack("network delete n")


def test_extensions(openstack: Cli) -> None:
    aliases = {row["Alias"] for row in openstack("extension list --network")}
    assert {"binding", "provider", "port-security", "pagination"} <= aliases
    assert openstack("extension show binding")["name"] == "Port Binding"


def test_with_an_admin_token(token_server: Server) -> None:
    options = ("--os-auth-type", "admin_token", "--os-endpoint", token_server.url)
    cli, stranger = (
        Cli(*options, "--os-token", token) for token in (token_server.admin_token, "wrong")
    )
    try:
        assert cli(f"network create n {VLAN} 110")["name"] == "n"
        assert "401" in stranger.refused("network list")
    finally:
        cli.close()
        stranger.close()


def test_the_program_itself(open_server: Server) -> None:
    program = str(Path(sys.executable).with_name("openstack"))
    options = ("--os-auth-type", "none", "--os-endpoint", open_server.url)
    done = subprocess.run(
        [program, *options, "network", "list"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
