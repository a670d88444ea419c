"""The ML2 mechanism driver: marks what changes, binds ports, holds them."""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from neutron.db import provisioning_blocks
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg
from oslo_log import log

from netwright_neutron import journal, sessions, settings
from netwright_neutron.client import Client, Refused, Unreachable
from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import (
    BOUND_BY,
    SERVED_TYPES,
    VNIC_TYPES,
    is_bound_by_us,
    marks_of_port,
)
from netwright_neutron.sending import Sender
from netwright_neutron.watching import ENTITY, Watcher

LOG = log.getLogger(__name__)

_VIF_DETAILS = {
    "bridge_name": "br-int",
    portbindings.CAP_PORT_FILTER: True,
    portbindings.OVS_HYBRID_PLUG: False,
    **BOUND_BY,
}
_GROUP_EVENTS = (events.PRECOMMIT_CREATE, events.PRECOMMIT_UPDATE, events.PRECOMMIT_DELETE)
_AFTER = (events.AFTER_CREATE, events.AFTER_UPDATE, events.AFTER_DELETE)


class NetwrightMechanismDriver(api.MechanismDriver):
    """Named `netwright` in `mechanism_drivers`."""

    def initialize(self) -> None:
        self._settings = settings.register(cfg.CONF)
        self._stopping = threading.Event()
        self.sender = Sender(self._settings, self._stopping)
        self._hosts: frozenset[str] = frozenset()
        self._hosts_at = -self._settings.hosts_s
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        for event in _GROUP_EVENTS:
            registry.subscribe(self._mark_group, resources.SECURITY_GROUP, event)
        for event in (events.PRECOMMIT_CREATE, events.PRECOMMIT_DELETE):
            registry.subscribe(self._mark_group_of_rule, resources.SECURITY_GROUP_RULE, event)
        for resource in (resources.SECURITY_GROUP, resources.SECURITY_GROUP_RULE):
            for event in _AFTER:
                registry.subscribe(self._wake, resource, event)
        registry.subscribe(self._start, resources.PROCESS, events.AFTER_INIT)

    @property
    def connectivity(self) -> str:
        return str(portbindings.CONNECTIVITY_L2)

    def _start(self, *_args: Any, **_kwargs: Any) -> None:
        """Once in each process that serves, after it has forked."""
        if self._threads:
            return
        with sessions.writing() as session:
            journal.create(session.connection())
        for name, run in (
            ("netwright-sender", self.sender.run),
            ("netwright-watcher", Watcher(self._settings, self._stopping).run),
        ):
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    # -- networks

    def create_network_precommit(self, context: Any) -> None:
        _mark(context.plugin_context, [Key(Kind.NETWORK, context.current["id"])])

    update_network_precommit = create_network_precommit
    delete_network_precommit = create_network_precommit

    def create_network_postcommit(self, _context: Any) -> None:
        self.sender.wake()

    update_network_postcommit = create_network_postcommit
    delete_network_postcommit = create_network_postcommit

    # -- subnets

    def create_subnet_precommit(self, context: Any) -> None:
        _mark(context.plugin_context, [Key(Kind.SUBNET, context.current["id"])])

    update_subnet_precommit = create_subnet_precommit
    delete_subnet_precommit = create_subnet_precommit

    create_subnet_postcommit = create_network_postcommit
    update_subnet_postcommit = create_network_postcommit
    delete_subnet_postcommit = create_network_postcommit

    # -- ports

    def create_port_precommit(self, context: Any) -> None:
        _mark(context.plugin_context, marks_of_port(context.current))

    def update_port_precommit(self, context: Any) -> None:
        before = [] if context.original is None else marks_of_port(context.original)
        _mark(context.plugin_context, dict.fromkeys([*before, *marks_of_port(context.current)]))
        if _is_bound_anew(context):
            provisioning_blocks.add_provisioning_component(
                context.plugin_context, context.current["id"], resources.PORT, ENTITY
            )

    def delete_port_precommit(self, context: Any) -> None:
        _mark(context.plugin_context, marks_of_port(context.current))
        journal.forget_steps(context.plugin_context.session, context.current["id"])

    create_port_postcommit = create_network_postcommit
    update_port_postcommit = create_network_postcommit
    delete_port_postcommit = create_network_postcommit

    def bind_port(self, context: Any) -> None:
        """Bind it if its host has an agent of Netwright's; else another driver may."""
        if context.current[portbindings.VNIC_TYPE] not in VNIC_TYPES:
            return
        if context.host not in self.hosts():
            LOG.warning(
                "Port %s is not bound by Netwright, which has no host '%s'. Start its agent there: "
                "netwright agent --host %s",
                context.current["id"],
                context.host,
                context.host,
            )
            return
        is_normal = context.current[portbindings.VNIC_TYPE] == portbindings.VNIC_NORMAL
        vif_type = portbindings.VIF_TYPE_OVS if is_normal else portbindings.VIF_TYPE_OTHER
        for segment in context.segments_to_bind:
            if segment[api.NETWORK_TYPE] in SERVED_TYPES:
                context.set_binding(segment[api.ID], vif_type, _VIF_DETAILS)
                return

    def hosts(self) -> frozenset[str]:
        """The hosts that Netwright has; while it cannot be asked, those that it had."""
        with self._lock:
            if time.monotonic() - self._hosts_at < self._settings.hosts_s:
                return self._hosts
            try:
                self._hosts = self._ask_hosts()
                self._hosts_at = time.monotonic()
            except (Unreachable, Refused) as error:
                LOG.warning("Ports are bound by the hosts known before: %s", error)
            return self._hosts

    def _ask_hosts(self) -> frozenset[str]:
        conf = self._settings
        client = Client(conf.url, settings.token_of(conf.token_file), conf.timeout_s)
        try:
            return client.hosts()
        finally:
            client.close()

    # -- security groups, which ML2 has no hooks for

    def _mark_group(self, _resource: str, _event: str, _trigger: Any, payload: Any) -> None:
        group_id = payload.resource_id or payload.latest_state["id"]
        _mark(payload.context, [Key(Kind.SECURITY_GROUP, group_id)])

    def _mark_group_of_rule(self, _resource: str, _event: str, _trigger: Any, payload: Any) -> None:
        group_id = payload.metadata.get("security_group_id") if payload.metadata else None
        if group_id is None:
            group_id = payload.latest_state["security_group_id"]
        _mark(payload.context, [Key(Kind.SECURITY_GROUP, group_id)])

    def _wake(self, *_args: Any, **_kwargs: Any) -> None:
        self.sender.wake()


def _mark(context: Any, keys: Iterable[Key]) -> None:
    """In the transaction of the change that this is called in."""
    journal.put(context.session, keys, time.time())


def _is_bound_anew(context: Any) -> bool:
    """Whether this update is the binding, by us, of a port that was not bound there before.

    A binding that is made ahead, for a migration, holds nothing: its port is ACTIVE where it is.
    """
    is_active = context.current["status"] == constants.PORT_STATUS_ACTIVE
    if is_active or not is_bound_by_us(context.current):
        return False
    before = context.original
    names: Sequence[str] = (portbindings.HOST_ID, portbindings.VIF_TYPE)
    return before is None or any(before.get(n) != context.current.get(n) for n in names)
