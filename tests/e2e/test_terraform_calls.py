"""What Terraform's OpenStack provider asks, replayed: `recorded/terraform.yaml` says whence."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.callers import Connection
from tests.e2e.conftest import Server, running

RECORDED = Path(__file__).parent / "recorded" / "terraform.yaml"
ANYTHING = "anything"
VERBS = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tenant's networks need VLANs to be chosen of."""
    with running(
        tmp_path_factory.mktemp("terraform"), "none", vlan_ranges="physnet1:200:209"
    ) as server:
        yield server


def test_every_call_is_answered_as_the_provider_expects(server: Server) -> None:
    with closing(Connection(server)) as connection:
        assert replay(connection) > 200


def replay(connection: Connection) -> int:
    """Make all calls, each with what those before it found; how many there were."""
    kept: dict[str, Any] = {}
    calls = 0
    for resource in yaml.safe_load(RECORDED.read_text(encoding="utf-8")):
        for call in resource["calls"]:
            (verb,) = (verb for verb in VERBS if verb in call)
            path = str(filled(call[verb], kept))
            status, content = connection.send(verb, path, filled(call.get("sends"), kept))
            where = f"{resource['resource']}: {verb} {path}"
            assert status == call["status"], f"{where}: {status} {content.decode()}"
            answer = yaml.safe_load(content) if content else None
            for name, place in call.get("keeps", {}).items():
                kept[name] = found(answer, place, where)
            for place, wanted in call.get("reads", {}).items():
                value = found(answer, place, where)
                is_right = wanted == ANYTHING or value == filled(wanted, kept)
                assert is_right, f"{where}: {place} is {value!r}"
            calls += 1
    return calls


def filled(value: Any, kept: Mapping[str, Any]) -> Any:
    """The value with what was kept in the place of `$name`, in paths too."""
    if isinstance(value, str):
        return re.sub(r"\$(\w+)", lambda name: str(kept[name[1]]), value)
    if isinstance(value, Mapping):
        return {key: filled(each, kept) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, kept) for each in value]
    return value


def found(answer: Any, place: str, where: str) -> Any:
    """What is at `one.two` of an answer; a name may have a colon, and a number is a place."""
    for part in place.split("."):
        key = int(part) if isinstance(answer, list) else part
        has_it = key < len(answer) if isinstance(key, int) else key in answer
        assert has_it, f"{where}: there is no {place}"
        answer = answer[key]
    return answer
