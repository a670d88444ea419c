"""The host's management address on a bridge's local port, by iproute2.

ovs-vswitchd makes the local port; with the userspace datapath it makes it anew at every start,
without addresses. So this is checked whenever the bridge's connection is new, and at every audit.
It takes one or two short runs of `ip`: pyroute2 would do it in-process, and cost the agent 12 of
its 80 MB for that (measured by bench.agent_memory).
"""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface
from typing import Any

import msgspec
import structlog

from netwright.agent.ovs.wiring import Management

COMMAND_S_MAX = 5.0
ROUTE_METRIC = 100

log = structlog.get_logger(__name__)

Arguments = tuple[str, ...]


class IpError(Exception):
    """An `ip` command failed; the message says which and why."""


async def ensure(management: Management) -> str | None:
    """Bring the address (and default route) up; return what stands in the way, or None.

    Other addresses and routes of the host are left alone. Runs in the caller's namespace.
    """
    try:
        links = await _read("address", "show", "dev", management.bridge)
        routes: list[Any] = []
        if management.gateway is not None:
            routes = await _read("route", "show", "default", family=_family(management))
        for arguments in missing(management, links, routes):
            await _ip(*arguments)
            log.info("management.changed", command=f"ip {' '.join(arguments)}")
    except (IpError, OSError) as error:
        return f"management address {management.address} on {management.bridge}: {error}"
    return None


def missing(
    management: Management, links: Sequence[Mapping[str, Any]], routes: Sequence[Mapping[str, Any]]
) -> tuple[Arguments, ...]:
    """The `ip` commands that are still to be run. Pure.

    `links` and `routes` are what `ip -json address show dev BRIDGE` and `ip -json route show
    default` say.
    """
    bridge, own = management.bridge, ip_interface(management.address)
    link = links[0] if links else {}
    has = {f"{one.get('local')}/{one.get('prefixlen')}" for one in link.get("addr_info", ())}
    made: list[Arguments] = []
    if "UP" not in link.get("flags", ()):
        made.append(("link", "set", bridge, "up"))
    if own.with_prefixlen not in has:
        # An IPv6 address is usable at once only without duplicate address detection (RFC 4862).
        flags = ("nodad",) if own.version == 6 else ()  # noqa: PLR2004 - IP versions
        made.append(("address", "replace", own.with_prefixlen, "dev", bridge, *flags))
    gateway = management.gateway
    if gateway is not None and (gateway, bridge) not in {
        (route.get("gateway"), route.get("dev")) for route in routes
    }:
        way = ("via", gateway, "dev", bridge, "metric", str(ROUTE_METRIC))
        made.append((_family(management), "route", "replace", "default", *way))
    return tuple(made)


def _family(management: Management) -> str:
    return f"-{ip_interface(management.address).version}"


async def _read(*arguments: str, family: str = "") -> list[Any]:
    options = (family, "-json") if family else ("-json",)
    text = await _ip(*options, *arguments)
    return msgspec.json.decode(text or b"[]", type=list[Any])


async def _ip(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "ip", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(COMMAND_S_MAX):
            output, errors = await process.communicate()
    except TimeoutError:
        raise IpError(f"ip {' '.join(arguments)} took longer than {COMMAND_S_MAX:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise IpError(f"ip {' '.join(arguments)}: {errors.decode(errors='replace').strip()}")
    return output
