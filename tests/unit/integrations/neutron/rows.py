"""Neutron's rows, as its plugins give them to an administrator."""

from typing import Any

NETWORK = "net1"
SUBNET = "sub1"
PORT = "port1"
ROUTER = "router1"


def network(**more: Any) -> dict[str, Any]:
    return {
        "id": NETWORK, "project_id": "p", "name": "red", "admin_state_up": True, "shared": False,
        "mtu": 1500, "status": "ACTIVE", "router:external": False, "port_security_enabled": True,
        "provider:network_type": "vlan", "provider:physical_network": "physnet1",
        "provider:segmentation_id": 100, "subnets": [], "tags": ["user's"], **more,
    }  # fmt: skip


def port(**more: Any) -> dict[str, Any]:
    return {
        "id": PORT, "project_id": "p", "network_id": NETWORK, "name": "", "admin_state_up": True,
        "mac_address": "fa:16:3e:00:00:01", "status": "DOWN", "device_id": "vm1",
        "device_owner": "compute:nova", "port_security_enabled": True, "security_groups": ["g"],
        "fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.9"}],
        "allowed_address_pairs": [], "binding:vnic_type": "normal", "binding:profile": {},
        "binding:host_id": "", "binding:vif_type": "unbound", "binding:vif_details": {}, **more,
    }  # fmt: skip


def bound(host: str = "host1", **more: Any) -> dict[str, Any]:
    details = {"port_filter": True, "bound_by": "netwright"}
    return port(**{
        "binding:host_id": host, "binding:vif_type": "ovs", "binding:vif_details": details, **more,
    })  # fmt: skip


def router(**more: Any) -> dict[str, Any]:
    return {
        "id": ROUTER, "project_id": "p", "name": "edge", "admin_state_up": True, "routes": [],
        "external_gateway_info": None, **more,
    }  # fmt: skip


def floating_ip(**more: Any) -> dict[str, Any]:
    return {
        "id": "fip1", "project_id": "p", "floating_network_id": "out", "port_id": None,
        "floating_ip_address": "192.0.2.7", "fixed_ip_address": None, **more,
    }  # fmt: skip


def rule(**more: Any) -> dict[str, Any]:
    return {
        "id": "r1", "direction": "ingress", "ethertype": "IPv4", "protocol": None,
        "port_range_min": None, "port_range_max": None, "remote_ip_prefix": None,
        "remote_group_id": None, **more,
    }  # fmt: skip


def group(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "g", "project_id": "p", "name": "web", "description": "", "stateful": True,
        "security_group_rules": list(rules), **more,
    }  # fmt: skip
