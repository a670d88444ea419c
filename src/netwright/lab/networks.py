"""Networks, subnets, VPCs: what users ask the Networking API for before there are instances.

provider network  a VLAN of the lab's description, its gateways on the core router
fabric network    a VNI that the server chooses; its gateways come with a VPC
VPC               a router with interfaces: gateways of fabric networks, a way out into others
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_interface
from typing import Any

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking, Resource
from netwright.lab.spec import FabricNetwork, Network, Spec
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.security_errors import SecurityGroupRuleExists

IPV4 = 4
_VXLAN: Mapping[str, Any] = {"provider:network_type": "vxlan"}


async def create_described(client: Client, spec: Spec, name: str) -> Resource:
    """A network of the lab's description, with its labels and subnets."""
    if name in spec.fabric_networks:
        overlay = spec.fabric_networks[name]
        attributes = {**_VXLAN, **_labels(overlay)}
        if overlay.drift_domain is not None:
            attributes["drift_domain"] = overlay.drift_domain
        return await _create(client, name, attributes, overlay.gateways)
    described = spec.networks[name]
    segment = {
        "provider:network_type": "vlan",
        "provider:physical_network": spec.physical_network,
        "provider:segmentation_id": described.vlan,
    }
    return await _create(client, name, {**segment, **_labels(described)}, described.gateways)


async def create_fabric_network(client: Client, name: str, gateways: Iterable[str]) -> Resource:
    """A VXLAN network with a subnet for each of its gateways (address with prefix length).

    Nobody has those addresses until a VPC has the network.
    """
    return await _create(client, name, _VXLAN, gateways)


async def create_vpc(
    client: Client, name: str, network_ids: Iterable[str], ways_out: Iterable[str] = ()
) -> Resource:
    """A router that is the gateway of these networks, and has an address of its own in others.

    `ways_out` are ids of provider networks, whose gateways it then goes out by.
    """
    api = Networking(client)
    router = await api.create(Collection.ROUTERS, {"name": name})
    for network_id in network_ids:
        for subnet in await api.list(Collection.SUBNETS, {"network_id": network_id}):
            await api.add_router_interface(router["id"], {"subnet_id": subnet["id"]})
    for network_id in ways_out:
        port = {"network_id": network_id, "name": f"{name}-way-out"}
        made = await api.create(Collection.PORTS, port)
        await api.add_router_interface(router["id"], {"port_id": made["id"]})
    return router


async def let_all_in(client: Client) -> None:
    """Have the default security group let everything in, as users do who filter elsewhere.

    Else the instances would hear nobody but each other: no gateway, and no probe of a test.
    """
    api = Networking(client)
    ours = {"name": "default", "project_id": DEFAULT_PROJECT}
    (group,) = await api.list(Collection.SECURITY_GROUPS, ours)
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": ethertype}
        with suppress(SecurityGroupRuleExists):
            await api.create(Collection.SECURITY_GROUP_RULES, rule)


def subnet_of(gateway: str) -> dict[str, Any]:
    """A subnet's attributes from its gateway's address with prefix."""
    interface = ip_interface(gateway)
    return {
        "cidr": str(interface.network),
        "ip_version": interface.version,
        "gateway_ip": str(interface.ip),
    }


def _labels(described: Network | FabricNetwork) -> dict[str, Any]:
    return {"labels": described.labels} if described.labels else {}


async def _create(
    client: Client, name: str, attributes: Mapping[str, Any], gateways: Iterable[str]
) -> Resource:
    api = Networking(client)
    network = await api.create(Collection.NETWORKS, {"name": name, **attributes})
    for gateway in gateways:
        subnet = subnet_of(gateway)
        # So that people can name it: `openstack router add subnet shop red`.
        called = name if subnet["ip_version"] == IPV4 else f"{name}-v6"
        subnet |= {"network_id": network["id"], "name": called}
        await api.create(Collection.SUBNETS, subnet)
    return network
