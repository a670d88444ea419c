"""Hosts, a network labelled env=prod, and containers that come, move and end there."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from tests.doubles.clock import Clock

from netwright.model.containers import OwnerReference, PodIdentity
from netwright.model.errors import NetwrightError
from netwright.model.resources import DriftDomain, NetworkType, Port, Segment
from netwright.model.states import BindingState, Plane
from netwright.model.topology import End, FabricSettings, Link, Switch, SwitchKind, Topology
from netwright.model.wire import (
    CONTAINER_OWNER,
    HostRegistration,
    Report,
    ReportBatch,
    ReportStatus,
)
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreateSubnets,
    FenceHost,
    NetworkDraft,
    PortDraft,
    RegisterHost,
    ReplaceTopology,
    SubnetDraft,
    Tick,
)
from netwright.server.containers.commands import ClaimPort, EndClaim
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store.claims import expired_claims

ADMIN = Caller(project_id="p", is_admin=True)
EPOCH = "life1"
REGISTRATION = HostRegistration(
    epoch=EPOCH, driver="ovs", physical_networks={"physnet1": "br-bond"}
)
SET = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="u-set")


def pod(name: str, owner: OwnerReference | None = SET) -> PodIdentity:
    return PodIdentity(cluster="blue", namespace="shop", name=name, uid=f"u-{name}", owner=owner)


def claim(host: str, name: str, container: str, **more: Any) -> ClaimPort:
    """`more` is what `ClaimPort` has; `labels` the selector."""
    labels = more.pop("labels", "env=prod")
    draft = PortDraft(
        id=f"{name}|{container}|{host}",
        project_id="p",
        network_id="",
        network_labels=labels,
        unique_name=name,
        name=more.pop("called", ""),
        device_id=container,
        device_owner=CONTAINER_OWNER,
        host=host,
    )
    caller = Caller(project_id="p", host=host)
    return ClaimPort(caller=caller, **{"epoch": EPOCH, "draft": draft, "keep": "1h", **more})


def end(host: str, name: str, container: str = "", attempt: int = 0) -> EndClaim:
    caller = Caller(project_id="p", host=host)
    return EndClaim(
        caller=caller, host=host, unique_name=name, container_id=container, attempt=attempt
    )


async def outcome(core: Core, command: Command) -> Any:
    try:
        return await core.commit(command)
    except NetwrightError as error:
        return error


async def begin(core: Core, hosts: Sequence[str], domain: DriftDomain = None) -> None:
    """The hosts are registered, and the network has 250 addresses."""
    for host in hosts:
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=REGISTRATION))
    await a_network(core, "net", "10.0.0.0/24", "prod", domain)


async def a_network(core: Core, name: str, cidr: str, env: str, domain: DriftDomain = None) -> None:
    vlan = 100 + int(cidr.split(".")[2])
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=vlan
    )
    network = NetworkDraft(
        id=name, project_id="p", segment=segment, labels={"env": env}, drift_domain=domain
    )
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    subnet = SubnetDraft(id=f"{name}-4", project_id="p", network_id=name, cidr=cidr, ip_version=4)
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))


async def two_zones(core: Core) -> None:
    """h1 and h2 below leaf1 and leaf2 (a rack), h3 below leaf3, in zone east; h4, leaf4, west."""
    zones = {"leaf1": "east", "leaf2": "east", "leaf3": "east", "leaf4": "west"}
    switches = tuple(
        Switch(name=leaf, kind=SwitchKind.LEAF, zone=zone, asn=65001 + n, loopback=f"10.9.0.{n}")
        for n, (leaf, zone) in enumerate(zones.items(), start=1)
    )
    hung = {"h1": ("leaf1", "leaf2"), "h2": ("leaf1",), "h3": ("leaf3",), "h4": ("leaf4",)}
    links = tuple(
        Link(
            lower=End(node=host, interface=f"eth{n}"),
            upper=End(node=leaf, interface=f"swp-{host}"),
        )
        for host, leaves in hung.items()
        for n, leaf in enumerate(leaves)
    )
    topology = Topology(switches=switches, links=links, fabric=FabricSettings())
    await core.commit(ReplaceTopology(caller=ADMIN, topology=topology))


async def stored(core: Core, name: str) -> Port | None:
    found = await core.reader.many(Port, Query(filters=(("unique_name", (name,)),)))
    return found[0] if found else None


async def confirm(core: Core, host: str) -> None:
    """The host's agent has withdrawn what is to go, and wired what is to be there."""
    bound = await core._database.read(
        lambda tx: tx.rows("SELECT port_id FROM binding WHERE host = $1", host)
    )
    reports = []
    for (port_id,) in bound:
        port = await core.reader.port(port_id, releasing=True)
        binding = None if port is None else port.binding_on(host)
        if port is None or binding is None:
            continue
        is_going = binding.state is BindingState.WITHDRAWING
        if not is_going and any(b.state is BindingState.WITHDRAWING for b in port.bindings):
            continue  # an agent waits for the others (law 5)
        reports.append(
            Report(
                plane=Plane.UNDERLAY,
                generation=binding.generation,
                status=ReportStatus.WITHDRAWN if is_going else ReportStatus.UP,
                port_id=port.id,
            )
        )
    batch = ReportBatch(host=host, epoch=EPOCH, reports=tuple(reports))
    await core.commit(ApplyReports(caller=ADMIN, batch=batch))


async def fence(core: Core, host: str) -> None:
    await core.commit(FenceHost(caller=ADMIN, host=host, reason="it burns"))


async def upkeep(core: Core, clock: Clock) -> None:
    """What the core does by itself each second, of claims."""
    expired = await core._database.read(lambda tx: expired_claims(tx, clock.now))
    await core.commit(Tick(caller=ADMIN, expired_claims=expired))


def with_epoch(command: ClaimPort, epoch: str) -> ClaimPort:
    return replace(command, epoch=epoch)
