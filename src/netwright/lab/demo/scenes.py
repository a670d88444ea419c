"""Which presets have a demo."""

from collections.abc import Mapping

from netwright.lab.demo import claims_containers, claims_evpn, claims_vlan
from netwright.lab.demo.stage import Scene
from netwright.lab.errors import SpecError

SCENES: Mapping[str, Scene] = {
    "vlan": claims_vlan.SCENE,
    "evpn": claims_evpn.SCENE,
    "containers": claims_containers.SCENE,
}

_LAB_NAMES = {"vlan": "demo", "evpn": "demoevpn", "containers": "demopods"}


def scene(preset: str) -> Scene:
    """Raises SpecError, naming those that there are, for a preset without a demo."""
    if preset not in SCENES:
        raise SpecError(f"demo: there is none of {preset!r}; there are: {', '.join(SCENES)}")
    return SCENES[preset]


def lab_name(preset: str) -> str:
    """Of the lab that the demo builds; what an earlier run left under it is replaced."""
    return _LAB_NAMES[preset]
