"""Pod sandboxes in parallel through containerd: with netwright, and with its stock plugins.

One containerd on a lab's host makes 20 sandboxes at once as a kubelet asks for them, by turns with
netwright and with `ptp` and `host-local`; between the turns all are ended. Server, agent and Open
vSwitch have the same cores as containerd, so their work is in what netwright's sandboxes take.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab.cri import DEFAULT, Containerd, Sandbox, conflist

from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.client.networking import Collection, Networking

HOST = "host1"
AT_ONCE = 20
ROUNDS = 9
"""Of each, after one that warms up and does not count."""
RATIO_MAX = 1.3
STOCK = "stock"
MTU = 1500


def run() -> list[Result]:
    with running_lab() as orchestrator, tempfile.TemporaryDirectory(prefix="nwc-") as directory:
        network = str(orchestrator.network("blue")["id"])
        labels = {"labels": {"app": "pods"}}
        orchestrator.ask(
            lambda client: Networking(client).update(Collection.NETWORKS, network, labels)
        )
        lab, path = orchestrator.lab, Path(directory)
        networks = {DEFAULT: conflist(lab, HOST, "app=pods"), STOCK: _stock(path / "ipam")}
        runtime = Containerd(lab, HOST, path, networks)
        try:
            rounds = [_round(runtime, number) for number in range(ROUNDS + 1)][1:]
        finally:
            runtime.end()
    return _results(rounds)


Round = Mapping[str, tuple[float, float]]
"""Of each handler the seconds to make all sandboxes, and to end them."""


def _round(runtime: Containerd, number: int) -> Round:
    """Who comes second in one round comes first in the next."""
    handlers = (DEFAULT, STOCK) if number % 2 else (STOCK, DEFAULT)
    return {handler: _turn(runtime, handler, number) for handler in handlers}


def _turn(runtime: Containerd, handler: str, number: int) -> tuple[float, float]:
    pods = [f"{handler}-{number}-{n}" for n in range(AT_ONCE)]

    def end(sandbox: Sandbox) -> None:
        runtime.stop(sandbox)
        runtime.remove(sandbox)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        made = list(pool.map(lambda pod: runtime.run(pod, handler=handler), pods))
        were_made = time.perf_counter()
        list(pool.map(end, made))
        return were_made - began, time.perf_counter() - were_made


def _results(rounds: Sequence[Round]) -> list[Result]:
    made = {handler: [each[handler][0] for each in rounds] for handler in (DEFAULT, STOCK)}
    ended = {handler: [each[handler][1] for each in rounds] for handler in (DEFAULT, STOCK)}
    ratios = [ours / stock for ours, stock in zip(made[DEFAULT], made[STOCK], strict=True)]
    return [
        Result(f"{AT_ONCE} sandboxes with ptp and host-local", _ms(made[STOCK]), "ms"),
        Result(f"{AT_ONCE} sandboxes with netwright", _ms(made[DEFAULT]), "ms"),
        at_most("  as a multiple, in the same round", statistics.median(ratios), RATIO_MAX),
        Result("  ended, with ptp and host-local", _ms(ended[STOCK]), "ms"),
        Result("  ended, with netwright", _ms(ended[DEFAULT]), "ms"),
    ]


def _ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1e3


def _stock(data: Path) -> Mapping[str, Any]:
    """Containerd's own example of a network: a veth to the host, addresses of a range in files."""
    ipam = {
        "type": "host-local",
        "dataDir": str(data),
        "ranges": [[{"subnet": "10.77.0.0/16"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "mtu": MTU, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": STOCK, "plugins": [plugin]}
