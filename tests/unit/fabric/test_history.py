"""The history as people ask for it: by name or id, mistyped, on the wrong machine."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics

from netwright.client.mirror import Key
from netwright.fabric.history import history
from netwright.fabric.store import Step, Store
from netwright.model.errors import NotFound
from netwright.model.wire import Kind

RED = replace(fabrics.network(1), name="red")
TOLD = Step(subject="net-1@host1", at=1.0, event="told")


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """Of a controller that knows two networks called `twin`, and `red` with history on host1."""
    store = Store.open(tmp_path)
    twins = [replace(fabrics.network(number), name="twin") for number in (2, 3)]
    told: dict[Key, Any] = {Key(Kind.NETWORK, one.id): one for one in (RED, *twins)}
    told[Key(Kind.TOPOLOGY, "fabric")] = fabrics.topology()
    steps = [TOLD, *(replace(TOLD, subject=f"{one.id}@host2") for one in twins)]
    steps.append(replace(TOLD, subject="gone@host3"))
    await store.save("c1", told, steps)
    store.close()
    return tmp_path


@pytest.mark.parametrize("wanted", ["net-1@host1", "red@host1"])
def test_a_network_is_named_by_id_or_name(directory: Path, wanted: str) -> None:
    assert history(directory, wanted) == [TOLD]


def test_a_network_that_is_gone_has_its_history_by_id(directory: Path) -> None:
    assert [step.subject for step in history(directory, "gone@host3")] == ["gone@host3"]


def test_a_switch_without_history_is_known_nevertheless(directory: Path) -> None:
    assert history(directory, "leaf1") == ()


@pytest.mark.parametrize(
    ("wanted", "said", "then"),
    [
        ("blue@host1", "ever done for network blue", "knows networks red, twin."),
        ("red@host9", "of network red on host host9", "It has history on host1."),
        (
            "leaf9",
            "of a switch leaf9",
            "There are core1, leaf1, leaf2, spine1; of an attachment write",
        ),
        ("twin@host2", "2 networks are called twin", "by its id: net-2, net-3."),
    ],
)
def test_what_is_not_known_is_answered_by_what_is(
    directory: Path, wanted: str, said: str, then: str
) -> None:
    with pytest.raises(NotFound) as error:
        history(directory, wanted)
    assert said in error.value.message
    assert then in error.value.next


def test_a_store_that_is_not_there_is_named_by_where_it_would_be(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"{tmp_path}/fabric.db") as error:
        history(tmp_path, "leaf1")
    assert "--state-directory" in error.value.next
