"""Devices whose ports the agent's watch does not hold: whom to ask about, and when. Pure.

A device may be plugged before its port is bound here, or before the port exists at all, or by
mistake. The agent asks the server, and asks again later. To a port that was never bound the server
gives an inactive binding here, so that it is wired ahead; that comes by the watch, as every binding
does: the agent wires nothing of which the server has no record (law 5).
"""

from collections.abc import Collection, Iterable, Mapping

from netwright.agent.wiring import Wired, WiringStatus
from netwright.model.resources import Port, Value
from netwright.model.states import BindingState

ASK_AGAIN_S_MIN = 1.0
ASK_AGAIN_S_MAX = 60.0

TELL_AFTER_S = 2.0
"""How long a device of ours waits until the server is told: most are wired by then, which is told
anyway, and hundreds of hosts that start pods at once would have it note each pod once more."""

ASKED_MAX = 1000
"""The most devices in one question."""


class Answer(Value, frozen=True, kw_only=True):
    """What the server said of a device's port; None: it has none of that id for this host."""

    port: Port | None
    times: int
    again_at: float


Answers = Mapping[str, Answer]
"""By port id."""

WaitingSince = Mapping[str, float]
"""Since when a device is `untold`, by port id."""


def to_ask(
    devices: Iterable[str],
    ports: Mapping[str, Port],
    answers: Answers,
    *,
    now: float,
    since: WaitingSince,
) -> tuple[str, ...]:
    """The devices to ask or tell about now: at most ASKED_MAX, named by port id.

    Told are those bound here that are not wired soon, so that the underlay's deadline starts.
    """
    asked: list[str] = []
    for port_id in sorted(devices):
        answer = answers.get(port_id)
        if port_id not in ports:
            if answer is None or answer.again_at <= now:
                asked.append(port_id)
        elif port_id in since and since[port_id] + TELL_AFTER_S <= now:
            asked.append(port_id)
    return tuple(asked[:ASKED_MAX])


def untold(
    host: str,
    devices: Iterable[str],
    ports: Mapping[str, Port],
    wired: Wired,
    answers: Answers,
    *,
    waiting: Collection[str] = (),
) -> frozenset[str]:
    """Devices bound here that are not wired yet, of which the server does not know that.

    They are pending in the data plane, or `waiting` for what is not this host's to give.
    """
    return frozenset(
        port_id
        for port_id in devices
        if (port := ports.get(port_id)) is not None
        and _must_tell(port, host, wired, waiting)
        and not _was_told(port, host, answers.get(port_id))
    )


def answered(
    answers: Answers, asked: Iterable[str], found: Iterable[Port], *, now: float
) -> Answers:
    """The answers with the new ones among them."""
    ports = {port.id: port for port in found}
    new: dict[str, Answer] = {}
    for port_id in asked:
        before = answers.get(port_id)
        times = before.times + 1 if before is not None else 1
        port = ports.get(port_id)
        wait_s = min(ASK_AGAIN_S_MIN * 2.0 ** min(times - 1, 16), ASK_AGAIN_S_MAX)
        new[port_id] = Answer(port=port, times=times, again_at=now + wait_s)
    return {**answers, **new}


def pruned(answers: Answers, devices: Iterable[str], ports: Mapping[str, Port]) -> Answers:
    """The answers that still matter: the device is here, and the watch does not know better.

    What the watch holds overrides an answer that the port is unbound, for good.
    """
    here = frozenset(devices)
    return {
        port_id: answer
        for port_id, answer in answers.items()
        if port_id in here
        and (port_id not in ports or (answer.port is not None and answer.port.bindings))
    }


def next_at(answers: Answers, ports: Mapping[str, Port], since: WaitingSince) -> float | None:
    """When the next device is to be asked about again, or told."""
    again = [answer.again_at for port_id, answer in answers.items() if port_id not in ports]
    again += [at + TELL_AFTER_S for at in since.values()]
    return min(again, default=None)


def misplaced(host: str, answers: Answers, ports: Mapping[str, Port]) -> Mapping[str, str]:
    """Why the other devices stay unwired, by port id, in words for an operator."""
    reasons: dict[str, str] = {}
    for port_id, answer in answers.items():
        if port_id not in ports and answer.port is None:
            reasons[port_id] = f"no port of this id is bound to {host}, or free to be"
    return reasons


def _was_told(port: Port, host: str, answer: Answer | None) -> bool:
    """Whether the server has said that it knows; the watch will show it as well."""
    binding = port.binding_on(host)
    known = answer.port.binding_on(host) if answer is not None and answer.port else None
    return (
        binding is not None
        and known is not None
        and known.generation == binding.generation
        and known.device_seen_at is not None
    )


def _must_tell(port: Port, host: str, wired: Wired, waiting: Collection[str]) -> bool:
    outcome = wired.outcomes.get(port.id)
    pending = outcome is not None and outcome.status is WiringStatus.PENDING
    if not pending and port.id not in waiting:
        return False
    binding = port.binding_on(host)
    if binding is None or binding.state is not BindingState.PREPARING:
        return False
    return binding.device_seen_at is None
