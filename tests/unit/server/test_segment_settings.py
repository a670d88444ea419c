"""What `[server]` says of networks' segments."""

from typing import Any

import pytest

from netwright.model.resources import NetworkType
from netwright.model.segments import SEGMENT_RULES, SegmentRules, VlanRange, VniRange
from netwright.model.settings import (
    InvalidConfiguration,
    from_document,
    from_environment,
    resolve,
)
from netwright.server.config import ServerSettings


def settings(**given: Any) -> ServerSettings:
    return resolve(ServerSettings, from_document("server", {"server": given}, "netwright.toml"))


def test_by_default_projects_get_vlans() -> None:
    assert settings().segment_rules == SEGMENT_RULES


def test_ranges_and_types() -> None:
    made = settings(
        vlan_ranges=["physnet1:7:8"],
        vni_ranges=["1000:2000", "5000:5000"],
        tenant_network_types=["vxlan", "vlan"],
        fabric_mtu=9000,
    )
    assert made.segment_rules == SegmentRules(
        vlan_ranges=(VlanRange(physical_network="physnet1", first=7, last=8),),
        vni_ranges=(VniRange(first=1000, last=2000), VniRange(first=5000, last=5000)),
        tenant_types=(NetworkType.VXLAN, NetworkType.VLAN),
        fabric_mtu=9000,
    )


def test_as_variables() -> None:
    given = {
        "NETWRIGHT_SERVER_VNI_RANGES": "1:5,7:9",
        "NETWRIGHT_SERVER_TENANT_NETWORK_TYPES": "vlan,vxlan",
    }
    made = resolve(ServerSettings, from_environment("server", given))
    assert made.segment_rules.vni_ranges[1] == VniRange(first=7, last=9)
    assert made.tenant_network_types == (NetworkType.VLAN, NetworkType.VXLAN)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"vni_ranges": ["5:1"]}, "vni_ranges holds '5:1'"),
        ({"tenant_network_types": ["vxlan"]}, "vni_ranges holds no VNIs"),
        ({"tenant_network_types": ["flat"]}, "holds vlan, vxlan or both, each once"),
        ({"tenant_network_types": ["vlan", "vlan"]}, "holds vlan, vxlan or both, each once"),
        ({"tenant_network_types": []}, "must have an item"),
        ({"tenant_network_types": ["gre"]}, "must be one of flat, vlan, vxlan"),
        ({"fabric_mtu": 1000}, "must be at least 1330"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidConfiguration, match=why):
        settings(**given)
