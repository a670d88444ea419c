"""Python's garbage collector in a process that runs for months."""

import gc


def spare_the_collector(young_max: int = 20_000) -> None:
    """Call it once what lasts is there: it is not looked at any more, and the rest seldom.

    It is looked at when there are `young_max` objects more than the last time: more than the work
    that is in flight holds, or each batch of it is gone through for nothing.

    Cycles are rare here, for values are frozen. A collection amid the work is what somebody waits
    for: a new device, a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(young_max, 50, 50)
