"""The pods of the demo, as a StatefulSet would have them: web-0 is app web's pod 0."""

from typing import Any

from netwright.lab.containers import Pod

PORT_NAME = "{cluster}/{namespace}/{labels.app}/{labels.ordinal}"
KEEP = "10m"
"""How long the address of a pod that is gone stays its name's."""


def pod(name: str, host: str, *, tier: str = "web", is_named: bool = True, keep: str = KEEP) -> Pod:
    """APP-ORDINAL, in a network of its tier. If not named, it has its port to its end alone."""
    app, _, ordinal = name.rpartition("-")
    config: dict[str, Any] = {"waitFor": "active"}
    if is_named:
        config |= {"cluster": "lab", "portName": PORT_NAME, "keep": keep}
    labels = {"app": app, "ordinal": ordinal}
    return Pod(name, host, f"env=prod,tier={tier}", labels, config)
