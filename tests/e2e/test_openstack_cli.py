"""The unmodified `openstack` command line against our server, as people use it without Keystone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Server
from tests.e2e.openstack_cli import VLAN, Cli


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["Name"] for row in rows)


def test_networks(cli: Cli) -> None:
    made = cli(f"network create blue {VLAN} 101 --mtu 1450 --share --description sky")
    assert (made["provider:segmentation_id"], made["mtu"], made["shared"]) == (101, 1450, True)
    cli(f"network create green {VLAN} 102 --no-share --disable-port-security")
    assert _names(cli("network list --long")) == ["blue", "green"]
    assert _names(cli("network list --share --provider-segment 101")) == ["blue"]
    assert _names(cli("network list --name green")) == ["green"]
    cli("network set green --name emerald --enable-port-security --disable")
    shown = cli("network show emerald")
    assert (shown["port_security_enabled"], shown["admin_state_up"]) == (True, False)
    assert "101" in cli.refused(f"network create again {VLAN} 101")
    assert "No Network found for red" in cli.refused("network show red")
    cli("network delete emerald blue")
    assert cli("network list") == []


def test_subnets(cli: Cli) -> None:
    cli(f"network create n {VLAN} 110")
    made = cli(
        "subnet create four --network n --subnet-range 10.9.0.0/24 --dns-nameserver 10.9.0.3"
        " --host-route destination=10.0.0.0/8,gateway=10.9.0.2"
        " --allocation-pool start=10.9.0.10,end=10.9.0.20"
    )
    assert (made["gateway_ip"], made["dns_nameservers"]) == ("10.9.0.1", ["10.9.0.3"])
    assert made["allocation_pools"] == [{"start": "10.9.0.10", "end": "10.9.0.20"}]
    cli("subnet create six --network n --subnet-range 2001:db8::/64 --ip-version 6 --no-dhcp")
    assert _names(cli("subnet list --network n --ip-version 6")) == ["six"]
    cli("subnet set four --name five --no-dns-nameservers --gateway 10.9.0.254 --no-dhcp")
    shown = cli("subnet show five")
    assert (shown["gateway_ip"], shown["dns_nameservers"]) == ("10.9.0.254", [])
    refusal = cli.refused("subnet create x --network n --subnet-range 10.9.0.128/25")
    assert "overlap" in refusal
    cli("subnet delete five six")
    cli("network delete n")


def test_ports(cli: Cli) -> None:
    cli(f"network create n {VLAN} 110")
    cli("subnet create s --network n --subnet-range 10.9.0.0/24")
    made = cli(
        "port create a --network n --fixed-ip subnet=s,ip-address=10.9.0.11 --device vm1"
        " --device-owner compute:nova --host nowhere --vnic-type normal --binding-profile k=v"
        " --allowed-address ip-address=10.9.0.99"
    )
    assert made["fixed_ips"][0]["ip_address"] == "10.9.0.11"
    assert (made["binding_host_id"], made["binding_profile"]) == ("nowhere", {"k": "v"})
    assert made["binding_vif_type"] == "binding_failed"
    assert made["allowed_address_pairs"][0]["ip_address"] == "10.9.0.99"
    cli("port create b --network n --no-fixed-ip --mac-address fa:16:3e:11:22:33")
    cli("port create c --network n --no-security-group --disable-port-security")
    assert _names(cli("port list --network n --long")) == ["a", "b", "c"]
    assert _names(cli("port list --fixed-ip ip-address=10.9.0.11")) == ["a"]
    assert _names(cli("port list --mac-address FA:16:3E:11:22:33")) == ["b"]
    assert _names(cli("port list --device-owner compute:nova --host nowhere")) == ["a"]
    assert "10.9.0.11" in cli.refused("port create d --network n --fixed-ip ip-address=10.9.0.11")
    cli("port set b --name bee --fixed-ip subnet=s --description d --disable")
    shown = cli("port show bee")
    assert (len(shown["fixed_ips"]), shown["admin_state_up"]) == (1, False)
    cli("port unset a --host --binding-profile k")
    cli("port set a --no-allowed-address")
    shown = cli("port show a")
    assert (shown["binding_host_id"], shown["binding_vif_type"]) == ("", "unbound")
    assert (shown["binding_profile"], shown["status"]) == ({}, "DOWN")
    assert shown["allowed_address_pairs"] == []
    assert "1 of 1 networks failed to delete" in cli.refused("network delete n")
    cli("port delete a bee c")
    cli("subnet delete s")
    cli("network delete n")


def test_what_is_only_read(cli: Cli) -> None:
    cli(f"network create n {VLAN} 110")
    cli("subnet create s --network n --subnet-range 10.9.0.0/24")
    cli("port create a --network n")
    (row,) = cli("ip availability list")
    assert (row["Network Name"], row["Total IPs"], row["Used IPs"]) == ("n", 253, 1)
    shown = cli("ip availability show n")
    assert [one["cidr"] for one in shown["subnet_ip_availability"]] == ["10.9.0.0/24"]
    assert cli("ip availability list --ip-version 6") == []
    assert cli("network agent list") == []
    assert cli("availability zone list --network") == []
    cli("port delete a")
    cli("subnet delete s")
    cli("network delete n")


def test_extensions(cli: Cli) -> None:
    aliases = {row["Alias"] for row in cli("extension list --network")}
    assert {"binding", "provider", "port-security", "pagination"} <= aliases
    assert cli("extension show binding")["name"] == "Port Binding"


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
