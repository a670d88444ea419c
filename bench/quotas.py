"""What a quota costs: ports made and deleted with a limit, against without; flat as it fills.

One process on SQLite. The projects take turns within each round, so that a machine that others use
too bends all alike. The large one has its ports as rows before its limit is set, which counts them.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from time import perf_counter, process_time

from bench.result import Result, at_most
from netwright.model.resources import NetworkType, Segment
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortDraft,
    SetQuota,
    SubnetDraft,
)
from netwright.server.core import Core

ROUNDS = 15
BATCH = 500
LARGE = 300_000
LIMITED_MAX = 1.15
FLAT_MAX = 1.15
_ADMIN = Caller(project_id="p", is_admin=True)
_PROJECTS = ("unlimited", "small", "large")


def run() -> list[Result]:
    # Not /tmp, which may be in memory.
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        return asyncio.run(_run(f"sqlite:///{directory}/netwright.db"))


async def _run(url: str) -> list[Result]:
    core = await Core.open(url)
    await core.start()
    try:
        await _network(core)
        await _fill(core)
        counting_s = [await _limit(core, project) for project in _PROJECTS[1:]]
        rounds = [await _round(core, n) for n in range(-2, ROUNDS)][2:]  # the first two: warm
    finally:
        await core.close()
    plain_ms = statistics.median(times[0] for times in rounds) * 1e3
    return [
        Result(f"{BATCH} ports made and deleted, no limit", plain_ms, "ms of processor"),
        at_most("  … with a limit / without", _ratio(rounds, 1, 0), LIMITED_MAX),
        at_most(f"  … of {LARGE:,} ports / of few", _ratio(rounds, 2, 1), FLAT_MAX),
        Result(f"a limit is set: {LARGE:,} ports are counted", counting_s[1] * 1e3, "ms"),
    ]


def _ratio(rounds: Sequence[Sequence[float]], over: int, under: int) -> float:
    return statistics.median(times[over] / times[under] for times in rounds)


async def _round(core: Core, number: int) -> list[float]:
    """Seconds of processor that each project's batch took to be made and deleted.

    Each project is first in its turn: what one leaves behind, such as a checkpoint, costs the next.
    """
    took = dict.fromkeys(_PROJECTS, 0.0)
    first = number % len(_PROJECTS)
    for project in (*_PROJECTS[first:], *_PROJECTS[:first]):
        ids = tuple(f"{project}-{number}-{n}" for n in range(BATCH))
        drafts = tuple(PortDraft(id=id_, project_id=project, network_id="net") for id_ in ids)
        started = process_time()
        await core.commit(CreatePorts(caller=_ADMIN, drafts=drafts))
        await core.commit(DeletePorts(caller=_ADMIN, ids=ids))
        took[project] = process_time() - started
    return list(took.values())


async def _limit(core: Core, project: str) -> float:
    started = perf_counter()
    limits = {"port": LARGE + 2 * BATCH}
    await core.commit(SetQuota(caller=_ADMIN, project_id=project, limits=limits))
    return perf_counter() - started


async def _network(core: Core) -> None:
    segment = Segment(network_type=NetworkType.VLAN, physical_network="x", segmentation_id=1)
    network = NetworkDraft(id="net", project_id="p", segment=segment)
    subnet = SubnetDraft(
        id="sub", project_id="p", network_id="net", cidr="10.0.0.0/12", ip_version=4
    )
    await core.commit(CreateNetworks(caller=_ADMIN, drafts=(network,)))
    await core.commit(CreateSubnets(caller=_ADMIN, drafts=(subnet,)))


async def _fill(core: Core) -> None:
    """The large project's ports, as rows alike to one that the server has written."""
    draft = PortDraft(id="first", project_id="large", network_id="net")
    await core.commit(CreatePorts(caller=_ADMIN, drafts=(draft,)))
    await core._database.write(  # noqa: SLF001 - no client could make so many in a minute
        lambda tx: tx.run(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1) "
            "INSERT INTO port SELECT 'row-' || n, project_id, 'elsewhere', name, NULL, "
            "description, 'mac-' || n, device_id, device_owner, admin_state_up, "
            "port_security_enabled, vnic_type, state, host, vif_type, revision_number, "
            "created_at, updated_at, event_seq, body FROM port, n WHERE id = 'first'",
            LARGE,
        )
    )
