"""What the fabric controller says and is asked (see `commands`)."""

from netwright.model.fabric import FabricReports
from netwright.server.commands import Command


class ApplyFabricReports(Command, frozen=True, kw_only=True):
    """What the controller found; refused when another holds its lease by now."""

    reports: FabricReports
