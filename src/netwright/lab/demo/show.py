"""Runs the demo: lab up, service up, every claim, what to try next."""

import time

from netwright.lab import down, spec, start, up
from netwright.lab.demo.claims import CLAIMS, Stage
from netwright.lab.demo.screen import Screen, rows_of
from netwright.lab.errors import LabError
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError

LAB_NAME = "demo"


def run(preset: str, *, keep: bool) -> bool:
    """Show the preset; whether every claim held. The lab stays up only with `keep`."""
    screen = Screen()
    screen.say(f"Netwright demo, preset {preset}: a data center in network namespaces.")
    try:
        held = _show(preset, screen)
    finally:
        if not keep:
            down.take_down(LAB_NAME)
            screen.doing("lab taken down: nothing of it is left")
    screen.say(_next_steps(keep=keep) if held else _after_failure(keep=keep))
    return held


def _show(preset: str, screen: Screen) -> bool:
    began = time.monotonic()
    seen: set[str] = set()

    def progress(step: up.Step) -> None:
        if step.name not in seen:
            seen.add(step.name)
            screen.doing(f"building: {step.name}")

    try:
        lab = up.bring_up(spec.preset(preset), LAB_NAME, progress=progress)
        screen.held("A data center is up", f"{_described(lab)}, {time.monotonic() - began:.1f} s")
        orchestrator = start.start(lab, screen.doing)
    except NetwrightError as error:
        screen.broken("A data center with Netwright in it", error.message)
        return False
    with screen.ports(lambda: _rows(orchestrator)):
        return _claims(Stage(lab, orchestrator), screen)


def _claims(stage: Stage, screen: Screen) -> bool:
    """Every claim in turn; the first that breaks ends it, since the next build on it."""
    for claim in CLAIMS:
        try:
            measured = claim.show(stage)
        except NetwrightError as error:
            screen.broken(claim.title, error.message)
            return False
        screen.held(claim.title, measured)
    return True


def _rows(orchestrator: Orchestrator) -> list[tuple[str, str, str, str, str]]:
    try:
        return rows_of(orchestrator.ports())
    except (LabError, NetwrightError):
        return []


def _described(lab: Lab) -> str:
    counts = {kind: len(lab.nodes(kind)) for kind in ("host", "baremetal", "switch", "router")}
    cables = len(lab.layout.cables)
    return (
        f"{counts['host']} hosts, {counts['baremetal']} bare metal, {counts['switch']} switches, "
        f"{counts['router']} router, {cables} cables"
    )


def _next_steps(*, keep: bool) -> str:
    if not keep:
        return (
            "\nAll claims held. Try next:\n"
            "  netwright demo --keep         the same, and the lab stays up to play with\n"
            "  netwright lab up vlan         an empty lab with server and agents"
        )
    return (
        "\nAll claims held, and the lab is still up. Try next:\n"
        "  netwright lab status\n"
        f"  netwright lab exec {LAB_NAME} mgmt -- openstack port list\n"
        f"  netwright lab exec {LAB_NAME} mgmt -- netwright port explain web1\n"
        f"  netwright lab fail {LAB_NAME} link:host1-tor1 --silent\n"
        f"  netwright lab spawn {LAB_NAME} host3 --network green\n"
        f"  netwright lab down {LAB_NAME}"
    )


def _after_failure(*, keep: bool) -> str:
    if keep:
        return f"\nA claim broke. The lab is still up; logs are in /run/netwright/lab/{LAB_NAME}/."
    return "\nA claim broke. `netwright demo --keep` leaves the lab up to look at."
