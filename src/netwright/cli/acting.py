"""Which fabric controller acts, said before what was reported: a dead one's rows go on standing."""

from netwright.cli.output import moment
from netwright.model.wire import LeaseState


def said(lease: LeaseState | None) -> str:
    """Who holds the lease `fabric`, or that nobody does, and what follows from it."""
    if lease is None:
        return "No fabric controller has ever acted: nothing is known of how switches stand."
    if lease.is_held:
        return f"Fabric controller {lease.holder} acts since {moment(lease.since)}."
    return (
        f"No fabric controller acts since {moment(lease.since)}: what follows is as last reported. "
        f"The last was {lease.holder}; netwright fabric run starts one."
    )
