"""The watcher: a thread that tells Neutron how Netwright says its ports and floating IPs stand.

It watches them while it has the lease "watch", so that one process does; a new watch begins with a
snapshot, so that what was missed is made up for.
"""

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from neutron.db import provisioning_blocks
from neutron_lib import constants, exceptions
from neutron_lib import context as neutron_context
from neutron_lib.callbacks import resources
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory
from oslo_log import log

from netwright_neutron import journal, sessions
from netwright_neutron.client import Client, Refused, Unreachable
from netwright_neutron.mapping import is_bound_by_us
from netwright_neutron.settings import token_of
from netwright_neutron.states import Effect, Seen, Stand, Step, stand_of, step

LOG = log.getLogger(__name__)

ENTITY = "NETWRIGHT"
"""Whose the provisioning block is."""

_LEASE = "watch"
_RETRY_S = 1.0


class Told(NamedTuple):
    """What Netwright says of a port: its state, why, and the host that it is bound to there.

    Of a floating IP only its status is said.
    """

    state: str
    cause: str
    host: str


class Watcher:
    def __init__(self, settings: Any, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._holder = uuid.uuid4().hex
        self._known: dict[str, Told] = {}
        self._leased_until = 0.0

    def run(self) -> None:
        """Until the process stops; what fails is logged, and begun again with a snapshot."""
        while not self._stopping.wait(_RETRY_S):
            try:
                if self._lease():
                    self._watch()
            except (Unreachable, Refused) as error:
                LOG.warning("Netwright's ports are not watched: %s. It is tried again.", error)
            except Exception:  # whoever is at fault: it begins again with a snapshot
                LOG.exception("What Netwright says of ports could not be taken; it is begun anew.")

    def _watch(self) -> None:
        client = Client(
            self._settings.url, token_of(self._settings.token_file), self._settings.timeout_s
        )
        self._known = {}
        try:
            for line in client.watch("port,floatingip"):
                if self._stopping.is_set() or not self._lease():
                    return
                self._hear(line)
        finally:
            client.close()

    def _hear(self, line: Mapping[str, Any]) -> None:
        """A line of the watch; what is not new says nothing."""
        if line["type"] == "delete":
            self._known.pop(line["id"], None)
        if line["type"] != "put" or self._settings.mark not in line["object"].get("tags", ()):
            return
        is_port = line["kind"] == "port"
        told = told_of(line["object"]) if is_port else Told(line["object"]["status"], "", "")
        if self._known.get(line["id"]) == told:
            return
        self._known[line["id"]] = told
        if is_port:
            take(line["id"], told)
        else:
            take_floating(line["id"], told.state)

    def _lease(self) -> bool:
        """Whether this process watches; asked of the database when half the lease is over."""
        now, lease_s = time.time(), self._settings.lease_s
        if now < self._leased_until - lease_s / 2:
            return True
        with sessions.writing() as session:
            if not journal.take_lease(session, _LEASE, self._holder, now, now + lease_s):
                return False
        self._leased_until = now + lease_s
        return True


def told_of(port: Mapping[str, Any]) -> Told:
    """What a port says, as the native API shows it."""
    hosts = [each["host"] for each in port.get("bindings", ()) if each.get("active", True)]
    return Told(port["state"], port.get("cause", ""), hosts[0] if hosts else "")


TAKING = threading.RLock()
"""Held while a port is taken, by whoever reads its state for that: an older word comes first."""


def take(port_id: str, told: Told) -> None:
    """Bring the port in Neutron to what Netwright says of it, and keep the step."""
    with TAKING:
        _take(port_id, told)


def _take(port_id: str, told: Told) -> None:
    context, plugin = neutron_context.get_admin_context(), directory.get_plugin()
    try:
        port = plugin.get_port(context, port_id)
    except exceptions.PortNotFound:
        return
    if not is_bound_by_us(port) or port["binding:host_id"] != told.host:
        return  # it is not about where the port is by now; what is comes after it
    is_held = provisioning_blocks.is_object_blocked(context, port_id, resources.PORT)
    stand = stand_of(port["status"], is_held=is_held)
    taken = step(stand, Seen(told.state))
    if taken is None:
        LOG.warning("Port %s stands %s, and Netwright says %s: refused", port_id, stand, told)
        return
    _keep(port_id, stand, told, taken)
    if taken.effect is Effect.RELEASE:
        provisioning_blocks.provisioning_complete(context, port_id, resources.PORT, ENTITY)
    elif taken.effect is Effect.LOWER:
        plugin.update_port_status(context, port_id, constants.PORT_STATUS_DOWN, told.host)
        LOG.warning("Port %s is DOWN: Netwright says %s: %s", port_id, told.state, told.cause)
    elif told.state == Seen.ERROR:
        LOG.warning("Port %s stays DOWN: Netwright says ERROR: %s", port_id, told.cause)


def take_floating(floating_id: str, status: str) -> None:
    """Neutron has the same words for it: ACTIVE, DOWN, ERROR."""
    plugin = directory.get_plugin(plugin_constants.L3)
    if plugin is not None:
        plugin.update_floatingip_status(neutron_context.get_admin_context(), floating_id, status)


def _keep(port_id: str, stand: Stand, told: Told, taken: Step) -> None:
    """Each step once: a snapshot, or a look beside the watch, says again what was said before."""
    new = journal.PortStep(port_id, time.time(), stand, told.state, taken.to, told.cause)
    with sessions.writing() as session:
        last = journal.last_step(session, port_id)
        is_same = last is not None and (last.seen, last.stands) == (new.seen, new.stands)
        if not is_same or taken.effect is not Effect.NOTHING:
            journal.add_step(session, new)
        elif last is not None and new.cause not in {"", last.cause}:
            keep = journal.add_step if last.cause else journal.explain
            keep(session, new)
