"""QoS policies and trunks, by the unmodified `openstack`."""

import pytest
from tests.e2e.openstack_cli import VLAN, Cli

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


def test_policies_and_trunks(cli: Cli) -> None:
    cli("network qos policy create gold --share")
    limit = cli(
        "network qos rule create --type bandwidth-limit --max-kbps 20000 --max-burst-kbits 4000"
        " --ingress gold"
    )
    assert (limit["max_kbps"], limit["direction"]) == (20000, "ingress")
    cli("network qos rule create --type dscp-marking --dscp-mark 46 gold")
    cli(f"network qos rule set --max-kbps 30000 gold {limit['id']}")
    policy = cli("network qos policy show gold")
    assert [rule["type"] for rule in policy["rules"]] == ["bandwidth_limit", "dscp_marking"]
    types = {each["Type"] for each in cli("network qos rule type list")}
    assert types == {"bandwidth_limit", "dscp_marking"}
    assert cli("network qos rule type show dscp_marking")["rule_type_name"] == "dscp_marking"
    cli(f"network create wired {VLAN} 741 --qos-policy gold")
    cli("subnet create wired-s --network wired --subnet-range 10.61.0.0/24")
    assert cli("network show wired")["qos_policy_id"] == policy["id"]
    cli("port create parent --network wired --qos-policy gold")
    assert "is used by" in cli.refused("network qos policy delete gold")

    cli(f"network create red {VLAN} 742")
    for name in ("red0", "red1"):
        cli(f"port create {name} --network red")
    cli(
        "network trunk create t0 --parent-port parent"
        " --subport port=red0,segmentation-type=vlan,segmentation-id=7"
    )
    cli("network trunk set t0 --subport port=red1,segmentation-type=vlan,segmentation-id=8")
    listed = cli("network subport list --trunk t0")
    assert {each["Segmentation ID"] for each in listed} == {7, 8}
    details = cli("port show parent")["trunk_details"]
    assert len(details["sub_ports"]) == 2
    assert "is currently a subport" in cli.refused("port delete red0")
    cli("network trunk unset t0 --subport red1")
    assert len(cli("network trunk show t0")["sub_ports"]) == 1
    cli("network trunk delete t0")
    cli("port unset parent --qos-policy")
    cli("network set wired --no-qos-policy")
    cli("port delete parent red0 red1")
    cli("network qos policy delete gold")
    cli("network delete wired red")
