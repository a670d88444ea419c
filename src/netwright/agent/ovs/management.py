"""The host's management address on a bridge's local port, by netlink.

ovs-vswitchd makes the local port; with the userspace datapath it makes it anew at every start,
without addresses. So this is checked whenever the bridge's connection is new, and at every audit.
"""

import asyncio
from ipaddress import ip_interface
from typing import Any

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netwright.agent.ovs.wiring import Management

NETLINK_S_MAX = 5.0

log = structlog.get_logger(__name__)


async def ensure(management: Management) -> str | None:
    """Bring the address (and default route) up; return what stands in the way, or None.

    Other addresses and routes of the host are left alone. Runs in the caller's namespace.
    """
    try:
        async with asyncio.timeout(NETLINK_S_MAX), AsyncIPRoute() as netlink:
            return await _ensure(netlink, management)
    except (NetlinkError, OSError, TimeoutError) as error:
        return f"management address {management.address} on {management.bridge}: {error!r}"


async def _ensure(netlink: Any, management: Management) -> str | None:
    found = await netlink.link_lookup(ifname=management.bridge)
    if not found:
        return f"no interface {management.bridge} for the management address: is the bridge up?"
    index = found[0]
    interface = ip_interface(management.address)
    (link,) = await netlink.link("get", index=index)
    if link["state"] != "up":
        await netlink.link("set", index=index, state="up")
    addresses = [
        (item.get("address"), item["prefixlen"])
        async for item in await netlink.addr("dump", index=index)
    ]
    if (str(interface.ip), interface.network.prefixlen) not in addresses:
        await netlink.addr(
            "add", index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen
        )
        log.info("management.address_set", bridge=management.bridge, address=management.address)
    if management.gateway is not None:
        await netlink.route("replace", dst="default", gateway=management.gateway, oif=index)
    return None
