"""Which of N names a container gets: the lowest that no living container has.

`SlotTable` is what was read of all N at once; ports of the batch itself, and those that may be
taken, are loaded whole and count before it. Two servers that choose one number for new ports meet
at the unique key, those that choose one kept port at its event: one of them decides anew.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from msgspec.structs import replace

from netwright.model.container_errors import NoSlotFree
from netwright.model.containers import SLOT, slot_name
from netwright.model.errors import Conflict
from netwright.model.resources import Port
from netwright.server.containers.commands import ClaimPort
from netwright.server.containers.holders import container_of, holder, host_of, is_live, named
from netwright.server.containers.slot_table import SlotTable
from netwright.server.world import World

_NAMED_MAX = 5
_AT_ONCE_MAX = 1_000


class NeedsPorts(Exception):
    """These ports may be taken, and are not loaded yet."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__("ports are needed")
        self.ids = ids


def name_of(command: ClaimPort, number: int) -> str:
    return slot_name(command.draft.unique_name or "", number)


def chosen(
    world: World, command: ClaimPort, obstacle: Callable[[Port], Conflict | None]
) -> ClaimPort:
    """The claim with the name of its slot; its own, if it has one. Raises NoSlotFree, NeedsPorts.

    `obstacle` says why the container cannot have a port that no other has.
    """
    draft = command.draft
    name = name_of(command, _choose(world, command, obstacle))
    if draft.device_id:
        world.containers.taken.put(
            (draft.project_id, draft.unique_name or "", draft.device_id), name
        )
    return replace(command, draft=replace(draft, unique_name=name), slots=0)


def _choose(world: World, command: ClaimPort, obstacle: Callable[[Port], Conflict | None]) -> int:
    template = (command.draft.project_id, command.draft.unique_name or "")
    table = world.containers.slots[template]
    number = _own(world, command, table)
    if number is not None:
        return number
    why: Conflict | None = None
    for number in _candidates(world, command, table):
        port = _port_of(world, command, table, number)
        if port is None:
            return number
        if is_live(port):
            continue
        why = obstacle(port)
        if why is None:
            return number
    raise _refusal(world, command, table, why)


def freed(world: World, port: Port) -> None:
    """A port was let go of by its container: a claim after this one may have its number."""
    if port.unique_name is not None:
        world.containers.freed.put(port.id, (port.project_id, port.unique_name))


def _own(world: World, command: ClaimPort, table: SlotTable) -> int | None:
    """The number that the container has, or the one that it replaces had on this host."""
    draft = command.draft
    template = draft.unique_name or ""
    taken = world.containers.taken.get((draft.project_id, template, draft.device_id))
    for number, container_id in (
        (None if taken is None else _number(template, taken), draft.device_id),
        (table.own(draft.device_id), draft.device_id),
        (table.own(command.replaces), command.replaces),
    ):
        if number is None or number >= command.slots:
            continue
        port = _port_of(world, command, table, number)
        if port is None or container_of(port) != container_id:
            continue
        if is_live(port) and host_of(port) != draft.host:
            continue
        return number
    return None


def _candidates(world: World, command: ClaimPort, table: SlotTable) -> Iterator[int]:
    """In order; with those that commands of this batch have freed."""
    draft = command.draft
    again = set()
    for project_id, name in world.containers.freed.values():
        number = _number(draft.unique_name or "", name)
        if project_id == draft.project_id and number is not None:
            again.add(number)
    numbers = sorted(again.union(table.free)) if again else table.free
    return (number for number in numbers if number < command.slots)


def _number(template: str, name: str) -> int | None:
    before, _, after = template.partition(SLOT)
    middle = name[len(before) : len(name) - len(after)]
    is_number = middle.isascii() and middle.isdecimal()
    return int(middle) if is_number and slot_name(template, int(middle)) == name else None


def _port_of(world: World, command: ClaimPort, table: SlotTable, number: int) -> Port | None:
    """The port of a number; None: it has none. Raises NeedsPorts when it is not loaded."""
    key = (command.draft.project_id, name_of(command, number))
    if world.unique_names.is_known(key):
        return named(world, *key)
    hold = table.holds.get(number)
    if hold is None:
        return None
    if world.ports.is_known(hold.port_id):  # renamed or gone meanwhile
        return None
    raise NeedsPorts(frozenset(islice(_unread(world, table, number), _AT_ONCE_MAX)))


def _unread(world: World, table: SlotTable, number: int) -> Iterator[str]:
    """The ports of this number and of the free ones after it that are not loaded yet."""
    yield table.holds[number].port_id
    for free in table.free:
        hold = table.holds.get(free)
        if free > number and hold is not None and not world.ports.is_known(hold.port_id):
            yield hold.port_id


def _refusal(
    world: World, command: ClaimPort, table: SlotTable, why: Conflict | None
) -> NoSlotFree:
    said = []
    for number in range(command.slots):
        port = named(world, command.draft.project_id, name_of(command, number))
        hold = table.holds.get(number)
        if port is not None:
            said.append(f"{number}: {holder(port)}")
        elif hold is not None:
            said.append(f"{number}: container {hold.container_id}, on host {hold.host}")
        if len(said) == _NAMED_MAX:
            break
    more = f"; and {command.slots - len(said)} more" if command.slots > len(said) else ""
    other = f" One that no container has cannot be had here: {why.message}" if why else ""
    return NoSlotFree(
        f"Each of the {command.slots} slots of '{command.draft.unique_name}' is taken"
        f" ({'; '.join(said)}{more}).{other}",
        next="raise slots, or end one of these containers; a host that is dead and silent has its"
        " containers' slots until it is fenced: netwright host fence NAME",
    )
