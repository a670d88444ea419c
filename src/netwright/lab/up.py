"""Bring a lab up.

description ─▶ leftovers of the same name removed ─▶ namespaces ─▶ cables
   ─▶ every node at once: OVS, FRR, bridges, addresses
   ─▶ every bonded uplink hears its other side ─▶ the fabric, if there is one, has converged
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from msgspec import Struct

from netwright.lab import convergence, down, install, links, netns, state
from netwright.lab.errors import LabError
from netwright.lab.layout import Node
from netwright.lab.links import VethEnd
from netwright.lab.nodes import ovs, router
from netwright.lab.spec import Spec
from netwright.lab.state import Lab

_NODES_AT_ONCE = 16


class Step(Struct, frozen=True):
    """Progress for people: what is being done, how far it is."""

    name: str
    done: int
    total: int


Progress = Callable[[Step], None]


def bring_up(
    spec: Spec,
    name: str,
    *,
    root: Path = state.ROOT,
    progress: Progress = lambda _: None,
    stand_in_agents: bool = False,
) -> Lab:
    """The lab, running; what an earlier lab of this name left is removed first.

    Hosts are left to their agents, which find their configuration in HOST/agent.toml, unless
    `stand_in_agents`: then the lab wires them itself, enough for pings and tests of the fabric.
    Should anything fail, all that was made is taken down before the error goes out.

    Raises LabError saying what failed where; SpecError for a bad name.
    """
    if os.geteuid() != 0:
        raise LabError(f"lab {name}: network namespaces and Open vSwitch need root; run it as root")
    lab = state.make_handle(spec, name, root)
    with state.exclusive(name):
        down.remove(name, root)
        try:
            state.save(lab)
            _build(lab, progress, stand_in_agents=stand_in_agents)
        except BaseException:
            down.remove(name, root)
            raise
    return lab


def _build(lab: Lab, progress: Progress, *, stand_in_agents: bool) -> None:
    nodes = lab.layout.nodes
    netns.create(lab.namespace(node.name) for node in nodes)
    progress(Step("namespaces", len(nodes), len(nodes)))
    cables = [
        *(
            (
                VethEnd(lab.namespace(cable.lower.node), cable.lower.interface),
                VethEnd(lab.namespace(cable.upper.node), cable.upper.interface),
            )
            for cable in lab.layout.cables
        ),
        *router.gateway_veths(lab, lab.layout.gateways),
    ]
    links.create_veths(cables)
    progress(Step("cables", len(cables), len(cables)))
    template = ovs.create_template(lab)
    installed = partial(install.install, lab, template=template, stand_in_agent=stand_in_agents)
    _everywhere("nodes", installed, nodes, progress)
    settled = partial(install.settle, lab, stand_in_agent=stand_in_agents)
    _everywhere("uplinks", settled, nodes, progress)
    template.unlink()
    if lab.layout.fabric:
        convergence.await_converged(lab)
        progress(Step("fabric", len(lab.layout.fabric), len(lab.layout.fabric)))


def _everywhere(
    name: str, work: Callable[[Node], None], nodes: Iterable[Node], progress: Progress
) -> None:
    """Every node at once; the first error ends it after those that run have ended."""
    with ThreadPoolExecutor(_NODES_AT_ONCE) as pool:
        running = [pool.submit(work, node) for node in nodes]
        try:
            for number, future in enumerate(as_completed(running), start=1):
                future.result()
                progress(Step(name, number, len(running)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
