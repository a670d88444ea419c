"""Runs the demo: lab up, service up, every claim, what to try next."""

import time
from collections.abc import Mapping, Sequence

from netwright.lab import down, spec, start, state, up
from netwright.lab.demo.scenes import lab_name, scene
from netwright.lab.demo.screen import Row, Screen, rows_of
from netwright.lab.demo.stage import Claim, Stage
from netwright.lab.errors import LabError
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError

_NEXT_STAGES: Mapping[str, Mapping[str, str]] = {
    "vlan": {"netwright demo evpn": "the next stage: a spine-leaf fabric"},
    "evpn": {"netwright demo containers": "the next stage: pods that keep their addresses"},
}

_COUNTED = (
    ("spine", "spine", "spines"),
    ("leaf", "leaf", "leaves"),
    ("border", "border", "borders"),
    ("host", "host", "hosts"),
    ("baremetal", "bare-metal machine", "bare-metal machines"),
    ("switch", "switch", "switches"),
    ("router", "core router", "core routers"),
)


def run(preset: str, *, keep: bool) -> bool:
    """Show the preset; whether every claim held. The lab stays up only with `keep`.

    Raises SpecError for a preset without a demo.
    """
    claims, name = scene(preset).claims, lab_name(preset)
    screen = Screen()
    screen.say(f"Netwright demo, preset {preset}: a data center in network namespaces.")
    try:
        held = _show(preset, claims, name, screen)
    finally:
        if not keep:
            down.take_down(name)
            screen.doing("lab taken down: nothing of it is left")
    if held:
        screen.say(_next_steps(preset, keep=keep))
    else:
        screen.say(_after_failure(preset, is_up=name in state.names()))
    return held


def _show(preset: str, claims: Sequence[Claim], name: str, screen: Screen) -> bool:
    began = time.monotonic()
    seen: set[str] = set()

    def progress(step: up.Step) -> None:
        if step.name not in seen:
            seen.add(step.name)
            screen.doing(f"building: {step.name}")

    try:
        lab = up.bring_up(spec.preset(preset), name, progress=progress)
        screen.held("A data center is up", f"{_described(lab)}, {time.monotonic() - began:.1f} s")
        orchestrator = start.start(lab, screen.doing)
    except NetwrightError as error:
        screen.broken("A data center with Netwright in it", error.message)
        return False
    with screen.ports(lambda: _rows(orchestrator)):
        return _claims(claims, Stage(lab, orchestrator, doing=screen.doing), screen)


def _claims(claims: Sequence[Claim], stage: Stage, screen: Screen) -> bool:
    """Every claim in turn; the first that breaks ends it, since the next build on it."""
    for claim in claims:
        try:
            measured = claim.show(stage)
        except NetwrightError as error:
            screen.broken(claim.title, error.message)
            return False
        screen.held(claim.title, measured)
    return True


def _rows(orchestrator: Orchestrator) -> list[Row]:
    try:
        return rows_of(orchestrator.ports())
    except (LabError, NetwrightError):
        return []


def _described(lab: Lab) -> str:
    counts = [(len(lab.nodes(kind)), one, many) for kind, one, many in _COUNTED]
    machines = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join([*machines, f"{len(lab.layout.cables)} cables"])


def _next_steps(preset: str, *, keep: bool) -> str:
    if not keep:
        ways = {
            f"netwright demo {preset} --keep": "the same, and the lab stays up to play with",
            **_NEXT_STAGES.get(preset, {}),
            f"netwright lab up {preset}": "an empty lab with server and agents",
        }
        width = max(map(len, ways))
        lines = [f"  {command:<{width}}  {what}" for command, what in ways.items()]
        return "\nAll claims held. Try next:\n" + "\n".join(lines)
    name = lab_name(preset)
    commands = ["lab status", *scene(preset).try_next, "lab down {lab}"]
    lines = [f"  netwright {command.format(lab=name)}" for command in commands]
    return "\nAll claims held, and the lab is still up. Try next:\n" + "\n".join(lines)


def _after_failure(preset: str, *, is_up: bool) -> str:
    if is_up:
        logs = f"/run/netwright/lab/{lab_name(preset)}/"
        return f"\nA claim broke. The lab is still up; logs are in {logs}."
    return f"\nA claim broke. `netwright demo {preset} --keep` leaves the lab up to look at."
