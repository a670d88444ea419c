"""Python's garbage collector in a process that runs for months."""

import gc


def spare_the_collector() -> None:
    """Call it once what lasts is there: it is not looked at any more, and the rest seldom.

    Cycles are rare here, for values are frozen. A collection amid the work is what somebody waits
    for: a new device, a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
