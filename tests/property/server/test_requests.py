"""Requests that are nearly right, against the real core: never a defect, nothing half made.

Schemathesis does not know which ids exist; here each attribute is drawn from values that mean
something, right and wrong ones, so that requests get past the edge into the decisions.
"""

import asyncio
import tempfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.doubles.http import Answer, Client

from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import OpenAuthenticator
from netwright.server.core import Core
from netwright.server.metrics import Metrics

GHOST = "0190c9d2-0000-7000-8000-000000000001"
ADDRESSES = [
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.9",
    "10.0.0.255",
    "10.9.0.1",
    "2001:db8::5",
]
MACS = ["fa:16:3e:00:00:01", "FA-16-3E-00-00-02", "ff:ff:ff:ff:ff:ff"]

# Placeholders that become ids of what the run made before.
NETWORK, SUBNET, PORT = "@network", "@subnet", "@port"

any_id = st.sampled_from([NETWORK, SUBNET, PORT, GHOST, "x", ""])
text = st.one_of(st.sampled_from(["", "a", "ü" * 255, "a" * 256, "\0"]), st.text(max_size=8))
address = st.sampled_from(ADDRESSES)
flag = st.sampled_from([True, False, "true", "0", None])
fixed_ip = st.fixed_dictionaries({}, optional={"subnet_id": any_id, "ip_address": address})
pool = st.fixed_dictionaries({"start": address, "end": address})
pair = st.fixed_dictionaries(
    {"ip_address": st.sampled_from([*ADDRESSES, "10.0.0.0/30", "0.0.0.0/0"])},
    optional={"mac_address": st.sampled_from(MACS)},
)
common = {"name": text, "description": text}
network = st.fixed_dictionaries(
    {},
    optional={
        **common,
        "provider:network_type": st.sampled_from(["vlan", "flat", "vxlan", "gre", None]),
        "provider:physical_network": st.sampled_from(["physnet1", "", None, "p" * 65]),
        "provider:segmentation_id": st.sampled_from([1, 4094, 4095, "7", 2**70, None]),
        "mtu": st.sampled_from([0, 68, 1500, 2**70]),
        "shared": flag,
        "admin_state_up": flag,
        "port_security_enabled": flag,
    },
)
subnet = st.fixed_dictionaries(
    {"network_id": st.sampled_from([NETWORK, NETWORK, GHOST])},
    optional={
        **common,
        "ip_version": st.sampled_from([4, 4, 6]),
        "cidr": st.sampled_from(
            ["10.0.0.0/29", "10.0.0.0/24", "10.9.0.0/31", "10.9.0.7/32", "2001:db8::/64", "::1/128"]
        ),
        "gateway_ip": st.one_of(st.none(), address),
        "allocation_pools": st.lists(pool, max_size=2),
        "enable_dhcp": flag,
        "dns_nameservers": st.lists(address, max_size=2),
        "host_routes": st.lists(
            st.fixed_dictionaries({"destination": st.just("10.0.0.0/8"), "nexthop": address}),
            max_size=2,
        ),
        "ipv6_ra_mode": st.sampled_from([None, "slaac", "dhcpv6-stateful"]),
    },
)
port = st.fixed_dictionaries(
    {"network_id": st.sampled_from([NETWORK, NETWORK, NETWORK, GHOST])},
    optional={
        **common,
        "unique_name": st.sampled_from(["u1", "u2", None]),
        "mac_address": st.sampled_from(MACS),
        "fixed_ips": st.lists(fixed_ip, max_size=2),
        "allowed_address_pairs": st.lists(pair, max_size=2),
        "port_security_enabled": flag,
        "admin_state_up": flag,
        "device_id": text,
        "device_owner": st.sampled_from(["compute:nova", "network:router_interface", ""]),
        "binding:host_id": st.sampled_from(["h1", "h2", "", None]),
        "binding:vnic_type": st.sampled_from(["normal", "baremetal", "direct"]),
        "binding:profile": st.sampled_from([{}, {"a": [1, {"b": 2**70}]}, None]),
    },
)
RESOURCES: dict[str, st.SearchStrategy[Any]] = {"network": network, "subnet": subnet, "port": port}
FIXED_AT_BIRTH = {"network_id", "ip_version", "cidr", "unique_name", "ipv6_ra_mode"} | {
    f"provider:{name}" for name in ("network_type", "physical_network", "segmentation_id")
}


@st.composite
def request(draw: st.DrawFn) -> tuple[str, str, Any]:
    name = draw(st.sampled_from([*RESOURCES, "port", "port"]))
    method = draw(st.sampled_from(["POST", "POST", "POST", "PUT", "PUT", "DELETE", "GET"]))
    body = draw(RESOURCES[name])
    if method == "POST":
        if draw(st.booleans()):
            return method, f"/v2.0/{name}s", {name: body}
        return method, f"/v2.0/{name}s", {f"{name}s": [body, draw(RESOURCES[name])]}
    path = f"/v2.0/{name}s/@{name}"
    if method == "PUT":
        changes = {key: value for key, value in body.items() if key not in FIXED_AT_BIRTH}
        return method, path, {name: changes}
    if method == "GET" and name == "port":
        return method, draw(st.sampled_from([path, f"/v1/ports/{PORT}/explain"])), None
    return method, path, None


@given(st.lists(request(), min_size=1, max_size=12))
@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_request_finds_a_defect(requests: list[tuple[str, str, Any]]) -> None:
    asyncio.run(_play(requests))


async def _play(requests: list[tuple[str, str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        core = await Core.open(f"sqlite:///{directory}/netwright.db")
        await core.start()
        edge = Edge(core, OpenAuthenticator(b"x"), Metrics(), body_bytes_max=1 << 20)
        client = Client(application(edge))
        try:
            await seeded(client, requests)
        finally:
            await core.close()


async def seeded(client: Client, requests: list[tuple[str, str, Any]]) -> None:
    vlan = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": 100,
    }
    registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br"}}
    await client.put("/v1/hosts/h1", registration)
    ids = {"@network": (await client.post("/v2.0/networks", {"network": vlan})).json["network"]}
    subnet = {"network_id": ids["@network"]["id"], "ip_version": 4, "cidr": "10.0.0.0/29"}
    ids["@subnet"] = (await client.post("/v2.0/subnets", {"subnet": subnet})).json["subnet"]
    body = {"port": {"network_id": ids["@network"]["id"]}}
    ids["@port"] = (await client.post("/v2.0/ports", body)).json["port"]
    for method, path, body in requests:
        before = await _counts(client)
        answer = await client.ask(method, _filled(path, ids), _filled(body, ids))
        assert answer.status < 500, (method, path, body, answer)
        if answer.status >= 400:
            assert answer.error["message"]
            assert await _counts(client) == before, (method, path, body, answer)


async def _counts(client: Client) -> dict[str, int]:
    answers: dict[str, Answer] = {
        name: await client.get(f"/v2.0/{name}s?fields=id") for name in RESOURCES
    }
    return {name: len(answer.json[f"{name}s"]) for name, answer in answers.items()}


def _filled(value: Any, ids: dict[str, Any]) -> Any:
    """The value with placeholders replaced by ids."""
    if isinstance(value, str):
        for placeholder, resource in ids.items():
            value = value.replace(placeholder, resource["id"])
        return value
    if isinstance(value, dict):
        return {key: _filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    return value
