"""The L3 service plugin: routers and floating IPs are Neutron's rows, and Netwright's to carry out.

Interfaces and gateways are ports, which the mechanism driver marks, with their routers. Marks are
made here of what has no port: the rows of routers and floating IPs themselves.
"""

import time
from typing import Any

from neutron.db import extraroute_db, l3_gwmode_db
from neutron.db.models import l3 as l3_models
from neutron.quota import resource_registry
from neutron_lib import constants
from neutron_lib.api.definitions import extraroute, l3_ext_gw_mode
from neutron_lib.api.definitions import l3 as l3_definition
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory
from neutron_lib.services import base

from netwright_neutron import journal
from netwright_neutron.kinds import Key, Kind

_PRECOMMIT = (events.PRECOMMIT_CREATE, events.PRECOMMIT_UPDATE, events.PRECOMMIT_DELETE)
_AFTER = (events.AFTER_CREATE, events.AFTER_UPDATE, events.AFTER_DELETE)


class NetwrightRouterPlugin(
    base.ServicePluginBase,
    extraroute_db.ExtraRoute_dbonly_mixin,
    l3_gwmode_db.L3_NAT_db_mixin,
):
    """Named `netwright-router` in `service_plugins`."""

    supported_extension_aliases = (
        l3_definition.ALIAS,
        l3_ext_gw_mode.ALIAS,
        extraroute.ALIAS,
    )

    @resource_registry.tracked_resources(router=l3_models.Router, floatingip=l3_models.FloatingIP)
    def __init__(self) -> None:
        super().__init__()
        for event in _PRECOMMIT:
            registry.subscribe(self._mark_router, resources.ROUTER, event)
            registry.subscribe(self._mark_floating_ip, resources.FLOATING_IP, event)
        for resource in (
            resources.ROUTER, resources.ROUTER_INTERFACE, resources.ROUTER_GATEWAY,
            resources.FLOATING_IP,
        ):  # fmt: skip
            for event in _AFTER:
                registry.subscribe(self._wake, resource, event)

    @classmethod
    def get_plugin_type(cls) -> str:
        return str(plugin_constants.L3)

    def get_plugin_description(self) -> str:
        return "Routers, gateways and floating IPs on Netwright's fabric"

    def create_floatingip(
        self,
        context: Any,
        floatingip: dict[str, Any],
        initial_status: str = constants.FLOATINGIP_STATUS_DOWN,
    ) -> Any:
        """DOWN until Netwright says that a border translates it."""
        return super().create_floatingip(context, floatingip, initial_status)

    def _mark_router(self, _resource: str, _event: str, _trigger: Any, payload: Any) -> None:
        _mark(payload.context, Key(Kind.ROUTER, payload.resource_id))

    def _mark_floating_ip(self, _resource: str, _event: str, _trigger: Any, payload: Any) -> None:
        state = payload.desired_state
        if state is None:  # its port goes, and it with it: the mechanism driver marks that
            return
        _mark(payload.context, Key(Kind.FLOATING_IP, state["id"]))

    def _wake(self, *_args: Any, **_kwargs: Any) -> None:
        drivers = directory.get_plugin().mechanism_manager.mech_drivers
        if "netwright" in drivers:
            drivers["netwright"].obj.sender.wake()


def _mark(context: Any, key: Key) -> None:
    """In the transaction of the change that this is called in."""
    journal.put(context.session, [key], time.time())
