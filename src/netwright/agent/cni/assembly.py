"""The CNI service of one agent, put together."""

import random
from pathlib import Path

from netwright.agent.agent import Agent
from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Following
from netwright.agent.cni.kernel import Kernel
from netwright.agent.cni.pods import PodSource
from netwright.agent.cni.ports import Ports, PortServer
from netwright.agent.cni.reconciler import Reconciler
from netwright.agent.cni.records import Records
from netwright.agent.cni.service import Service
from netwright.agent.config import AgentSettings, DatapathType
from netwright.agent.session import Identity
from netwright.agent.wiring import Plugs


def service(
    settings: AgentSettings,
    socket: str,
    *,
    identity: Identity,
    server: PortServer,
    agent: Agent,
    plugs: Plugs,
    pods: PodSource | None = None,
) -> Service:
    """Serves at this socket, and follows the agent's loop. Raises InvalidConfiguration.

    `pods` are Kubernetes', where the agent has one.
    """
    following = Following(identity.host, agent)
    ports = Ports(
        host=identity.host,
        epoch=identity.epoch,
        project_id=settings.cni_project,
        server=server,
        registered=agent.registered,
    )
    records = Records(Path(settings.cni_state_directory))
    kernel = Kernel(checksums=settings.datapath_type is not DatapathType.NETDEV)
    containers = Containers(
        identity.host,
        ports=ports,
        records=records,
        following=following,
        veths=kernel,
        plugs=plugs,
        jitter=random.random,
        pods=pods,
    )
    agent.on_pass = containers.passed
    agent.is_answering = containers.is_answering
    agent.is_awaited = containers.is_awaited
    reconciler = Reconciler(
        identity.host,
        loop=agent,
        containers=containers,
        records=records,
        ports=ports,
        veths=kernel,
        plugs=plugs,
        jitter=random.random,
    )
    agent.beside = reconciler
    return Service(Path(socket), containers, agent, reconciler)
