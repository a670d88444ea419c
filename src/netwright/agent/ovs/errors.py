"""What can go wrong between the agent and Open vSwitch; each says whose fault it is."""


class OvsError(Exception):
    """Base of all failures of this layer."""


class OvsUnreachableError(OvsError):
    """A socket of OVS is closed or silent: the host's fault; tried again, nothing is lost.

    A transaction or bundle that was under way may or may not have been applied: read the state
    back before deciding anything.
    """


class OvsProtocolError(OvsError):
    """OVS sent what its protocol forbids, or a version that we don't speak: a device's fault."""


class TransactionRefusedError(OvsError):
    """ovsdb-server refused a transaction; nothing of it was applied."""

    def __init__(self, operation: str, table: str, index: int, error: str, details: str) -> None:
        super().__init__(
            f"OVSDB refused {operation} on {table} (operation {index}): {error}: {details}"
        )
        self.index = index
        self.error = error
        self.details = details


class FlowsRefusedError(OvsError):
    """ovs-vswitchd refused a bundle of flow changes; nothing of it was applied."""

    def __init__(self, bridge: str, refused: tuple[tuple[int, str], ...], reason: str) -> None:
        super().__init__(f"OVS refused flows on {bridge}: {reason}")
        self.bridge = bridge
        self.refused = refused
        """(index of the flow change, OpenFlow error) of each culprit; empty if OVS named none."""
