"""Names that a host's containers take from those of other hosts: by whom they name, never else."""

from collections.abc import Sequence

import pytest

from netwright.agent.cni.ports import TAKEN_MAX, Ports, taking
from netwright.model.container_errors import NameHeld
from netwright.model.wire import (
    ContainerPort,
    ContainerPortOutcome,
    ContainerPortOutcomes,
    ContainerPorts,
    EndedContainerPorts,
    ItemError,
)

HELD = ItemError(status=409, type="NameHeld", message="of b, on host h2")


def wanted(name: str) -> ContainerPort:
    return ContainerPort(unique_name=name, network_labels="env=prod", device_id=f"c-{name}")


class Holders:
    """A server, as far as it says who has a name: each in turn, as the names are taken."""

    def __init__(self, **holders: Sequence[str]) -> None:
        self.asked: list[Sequence[ContainerPort]] = []
        self._holders = {name: list(each) for name, each in holders.items()}

    async def ask(self, claims: Sequence[ContainerPort]) -> Sequence[ContainerPortOutcome]:
        self.asked.append(tuple(claims))
        return [self._outcome(one) for one in claims]

    def _outcome(self, one: ContainerPort) -> ContainerPortOutcome:
        holders = self._holders.get(one.unique_name, [])
        if holders and one.takes != holders[0]:
            return ContainerPortOutcome(error=HELD, held_by=holders[0])
        if len(holders) > 1:  # somebody else was faster
            return ContainerPortOutcome(error=HELD, held_by=holders.pop(0) and holders[0])
        return ContainerPortOutcome()

    async def make_container_ports(self, host: str, body: ContainerPorts) -> ContainerPortOutcomes:
        return ContainerPortOutcomes(outcomes=tuple(await self.ask(body.ports)))

    async def end_container_ports(
        self, host: str, ended: EndedContainerPorts
    ) -> ContainerPortOutcomes:
        raise AssertionError("nothing ends here")


async def test_what_nobody_has_is_asked_for_once_and_from_nobody() -> None:
    server = Holders()
    outcomes = await taking(server.ask, [wanted("a"), wanted("b")])
    assert [one.error for one in outcomes] == [None, None]
    assert [[one.takes for one in each] for each in server.asked] == [["", ""]]


async def test_who_has_a_name_is_named_and_only_those_are_asked_for_again() -> None:
    server = Holders(b=["x@h2/7"])
    outcomes = await taking(server.ask, [wanted("a"), wanted("b"), wanted("c")])
    assert [one.error for one in outcomes] == [None, None, None]
    named = [[(one.unique_name, one.takes) for one in each] for each in server.asked]
    assert named == [[("a", ""), ("b", ""), ("c", "")], [("b", "x@h2/7")]]


async def test_a_name_that_others_take_meanwhile_is_followed_for_a_while() -> None:
    server = Holders(a=["x@h2/7", "y@h3/1"])
    (outcome,) = await taking(server.ask, [wanted("a")])
    assert outcome.error is None
    assert [one.takes for (one,) in server.asked] == ["", "x@h2/7", "y@h3/1"]
    restless = Holders(a=[f"{n}@h2/1" for n in range(20)])
    (outcome,) = await taking(restless.ask, [wanted("a")])
    assert outcome.error == HELD
    assert len(restless.asked) == 1 + TAKEN_MAX


async def test_one_that_is_refused_though_it_named_the_holder_is_not_asked_for_again() -> None:
    asked = []

    async def never(claims: Sequence[ContainerPort]) -> Sequence[ContainerPortOutcome]:
        asked.append(claims)
        return [ContainerPortOutcome(error=HELD, held_by="x@h2/7") for _ in claims]

    (outcome,) = await taking(never, [wanted("a")])
    assert (outcome.error, len(asked)) == (HELD, 2)


async def test_an_add_hears_who_has_the_name_when_it_does_not_get_it() -> None:
    server = Holders(a=[f"{n}@h2/1" for n in range(20)])

    async def registered() -> None:
        return

    ports = Ports(host="h1", epoch="e", project_id="p", server=server, registered=registered)
    with pytest.raises(NameHeld, match="of b, on host h2"):
        await ports.make(wanted("a"))
