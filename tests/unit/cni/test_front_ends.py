"""Both CNI front ends, as a runtime runs them: over all verbs and versions they do the same.

The agent is a double that says what a row of a table says; what a row expects is spelled out, so
that both being wrong alike is seen as well.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.cni_agent import BROKEN_OFF, FOREIGN, SILENCE, answer, cni_agent

from netwright.cni import protocol, reference
from netwright.cni.protocol import Code

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "src/netwright/cni/reference.py"
VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
ASKING = ("ADD", "DEL", "CHECK", "GC", "STATUS")
VARIABLES = {
    "CNI_CONTAINERID": "c0ffee",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": 'K8S_POD_NAME=a"b\\c\n',
    "CNI_PATH": "/opt/cni/bin",
}


class Said(NamedTuple):
    """What a front end did: its exit code, what it printed, what the agent was asked."""

    code: int
    out: bytes
    asked: list[tuple[bytes, dict[str, Any]]]

    @property
    def object(self) -> Any:
        assert self.out.endswith(b"\n")
        return msgspec.json.decode(self.out)


class FrontEnds:
    """Runs both, and answers what both did."""

    def __init__(self, program: Path, socket: Path) -> None:
        self.socket = socket
        self._commands = ([str(program)], ["/usr/bin/python3", "-IS", str(REFERENCE)])

    def run(
        self, verb: str | None, config: bytes, *, says: bytes | None = None, **variables: str
    ) -> Said:
        """Asks with these; without `says` there is no agent."""
        environment = {**VARIABLES, **variables}
        if verb is not None:
            environment["CNI_COMMAND"] = verb
        compiled, read = (self._one(each, config, environment, says) for each in self._commands)
        assert compiled == read
        return compiled

    def config(self, version: str | None = "1.1.0", **members: Any) -> bytes:
        given = {} if version is None else {"cniVersion": version}
        return msgspec.json.encode({**given, "agentSocket": str(self.socket), **members})

    def _one(
        self,
        command: list[str],
        config: bytes,
        environment: Mapping[str, str],
        says: bytes | None,
    ) -> Said:
        def run() -> subprocess.CompletedProcess[bytes]:
            done = subprocess.run(
                command, input=config, capture_output=True, env=environment, timeout=30, check=False
            )
            assert done.stderr == b""
            return done

        if says is None:
            done = run()
            return Said(done.returncode, done.stdout, [])
        with cni_agent(self.socket, says) as agent:
            done = run()
        asked = [(_without_length(head), _without_time(body)) for head, body in agent.requests]
        return Said(done.returncode, done.stdout, asked)


def _without_length(head: bytes) -> bytes:
    """The bodies' lengths differ by a digit of the time that is left."""
    return b"\r\n".join(one for one in head.split(b"\r\n") if not one.startswith(b"Content-Len"))


def _without_time(body: dict[str, Any]) -> dict[str, Any]:
    """Without the time that is left, which must be positive and below the deadline."""
    assert 0 < body["deadline_ms"] <= 60_000
    return {key: value for key, value in body.items() if key != "deadline_ms"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cni") / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", path], check=True, timeout=60)
    return path


@pytest.fixture
def front_ends(program: Path, tmp_path: Path) -> FrontEnds:
    return FrontEnds(program, tmp_path / "cni.sock")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verb", ASKING)
class TestAsking:
    def test_the_agent_is_asked_all_and_its_result_printed(
        self, front_ends: FrontEnds, verb: str, version: str
    ) -> None:
        result = {"cniVersion": version, "ips": [{"address": "10.0.0.5/24"}]}
        named = {"cluster": "c1", "portName": "{cluster}/{labels.a/b}/{slot}", "slots": 10_000}
        told = {
            "args": {"cni": {"labels": [{"key": "a/b", "value": 'é"'}]}},
            "runtimeConfig": {"bandwidth": {"ingressRate": 2**53 + 1, "ingressBurst": 2**31 - 1}},
        }
        config = front_ends.config(
            version, name="prod", labels="env=prod,tier in (web)", **named, **told
        )
        said = front_ends.run(verb, config, says=answer(200, result))
        assert (said.code, said.object) == (0, result)
        ((head, body),) = said.asked
        assert head.split(b"\r\n")[0] == b"POST /cni HTTP/1.1"
        assert body == {
            "command": verb,
            "container_id": "c0ffee",
            "netns": "/run/netns/x",
            "ifname": "eth0",
            "args": VARIABLES["CNI_ARGS"],
            "path": "/opt/cni/bin",
            "config": msgspec.json.decode(config),
        }

    def test_success_without_a_result_prints_nothing(
        self, front_ends: FrontEnds, verb: str, version: str
    ) -> None:
        said = front_ends.run(verb, front_ends.config(version), says=answer(204))
        assert (said.code, said.out) == (0, b"")

    def test_an_error_of_the_agents_is_printed_and_fails(
        self, front_ends: FrontEnds, verb: str, version: str
    ) -> None:
        error = {"cniVersion": version, "code": 7, "msg": "labels are missing"}
        said = front_ends.run(verb, front_ends.config(version), says=answer(400, error))
        assert (said.code, said.object) == (1, error)

    @pytest.mark.parametrize(
        ("says", "why"),
        [(None, "cannot be reached"), (BROKEN_OFF, "went before it had answered")],
    )
    def test_an_agent_that_is_away_is_to_be_tried_again(
        self, front_ends: FrontEnds, verb: str, version: str, says: bytes | None, why: str
    ) -> None:
        said = front_ends.run(verb, front_ends.config(version), says=says)
        assert said.code == 1
        assert said.object["cniVersion"] == version
        assert said.object["code"] == (50 if verb == "STATUS" else 11)
        assert why in said.object["msg"]
        assert said.object["details"]


@pytest.mark.parametrize("version", [*VERSIONS, "0.1.0", "9.9.9", None])
def test_versions_are_told_without_the_agent(front_ends: FrontEnds, version: str | None) -> None:
    said = front_ends.run("VERSION", front_ends.config(version))
    spoken = version if version in VERSIONS else "1.1.0"
    assert said.code == 0
    assert said.object == {"cniVersion": spoken, "supportedVersions": list(VERSIONS)}


@pytest.mark.parametrize("stdin", [b"", b"nonsense", b"[]", b'{"cniVersion": 7}'])
def test_versions_are_told_whatever_comes_on_stdin(front_ends: FrontEnds, stdin: bytes) -> None:
    said = front_ends.run("VERSION", stdin)
    assert (said.code, said.object["cniVersion"]) == (0, "1.1.0")


@pytest.mark.parametrize("verb", [None, "", "add", "UPDATE", "ADD\n"])
def test_what_is_no_verb_is_refused(front_ends: FrontEnds, verb: str | None) -> None:
    said = front_ends.run(verb, front_ends.config())
    assert (said.code, said.object["code"]) == (1, 4)
    assert "CNI_COMMAND" in said.object["msg"]


@pytest.mark.parametrize("verb", ASKING)
@pytest.mark.parametrize(
    "stdin",
    [
        b"", b"null", b"[]", b'"x"', b"{", b"{}}", b'{"a":1,}', b"{'a':1}", b'{"a":01}',
        b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\x01"}', b'{"a":"\\x"}',
        b"\xef\xbb\xbf{}", b"{\x00}", b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)  # fmt: skip
def test_a_configuration_that_is_no_object_is_refused(
    front_ends: FrontEnds, verb: str, stdin: bytes
) -> None:
    said = front_ends.run(verb, stdin)
    assert (said.code, said.object["code"], said.object["cniVersion"]) == (1, 6, "1.1.0")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        (b'"cniVersion":1.0', "cniVersion"),
        (b'"cniVersion":null', "cniVersion"),
        (b'"agentSocket":7', "agentSocket"),
        (b'"agentSocket":""', "agentSocket"),
        (b'"agentSocket":"\\ud800"', "agentSocket"),
        (b'"agentSocket":"/a\\u0000b"', "agentSocket"),
        (b'"agentSocket":"/%s"' % (b"x" * 107), "agentSocket"),
        (b'"deadlineSeconds":0', "deadlineSeconds"),
        (b'"deadlineSeconds":601', "deadlineSeconds"),
        (b'"deadlineSeconds":-1', "deadlineSeconds"),
        (b'"deadlineSeconds":1.5', "deadlineSeconds"),
        (b'"deadlineSeconds":"9"', "deadlineSeconds"),
        (b'"deadlineSeconds":99999999999999999999', "deadlineSeconds"),
    ],
)
def test_a_setting_of_the_front_ends_own_is_refused_by_name(
    front_ends: FrontEnds, members: bytes, named: str
) -> None:
    said = front_ends.run("ADD", b"{%s}" % members)
    assert (said.code, said.object["code"]) == (1, 7)
    assert said.object["msg"].startswith(named)


def test_a_path_is_read_as_it_is_meant(front_ends: FrontEnds, tmp_path: Path) -> None:
    """Escapes, other characters than ASCII, and the last of two members of a name."""
    front_ends.socket = tmp_path / "ä€.s"
    written = str(front_ends.socket).replace("/", "\\/").replace("ä", "\\u00E4")
    text = f' {{"agentSocket":"/nowhere", "x":[{{"agentSocket":1}}], "agentSocket":"{written}"}} '
    said = front_ends.run("ADD", text.encode(), says=answer(204))
    assert (said.code, len(said.asked)) == (0, 1)


@pytest.mark.parametrize("verb", ["ADD", "STATUS"])
def test_an_agent_that_is_silent_is_waited_for_until_the_deadline(
    front_ends: FrontEnds, verb: str
) -> None:
    said = front_ends.run(verb, front_ends.config(deadlineSeconds=1), says=SILENCE)
    assert (said.code, said.object["code"]) == (1, 50 if verb == "STATUS" else 11)
    assert said.object["msg"] == "the agent has not answered within 1 s"


@pytest.mark.parametrize(
    "says",
    [
        FOREIGN,
        answer(200),
        answer(200, []),
        answer(100, {}),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"220 mail ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
    ],
)
def test_what_speaks_otherwise_is_not_believed(front_ends: FrontEnds, says: bytes) -> None:
    said = front_ends.run("ADD", front_ends.config(), says=says)
    assert (said.code, said.object["code"]) == (1, 5)
    assert "does not speak this protocol" in said.object["msg"]


def test_long_things_pass_whole(front_ends: FrontEnds) -> None:
    config = front_ends.config(runtimeConfig={"x": "y" * 300_000})
    result = {"cniVersion": "1.1.0", "dns": {"search": ["z" * 1000] * 300}}
    said = front_ends.run("ADD", config, says=answer(200, result), CNI_ARGS="a" * 100_000)
    assert said.object == result
    assert said.asked[0][1]["config"] == msgspec.json.decode(config)
    assert len(said.asked[0][1]["args"]) == 100_000


def test_both_and_the_protocol_know_the_same() -> None:
    assert reference.VERSIONS == protocol.VERSIONS == VERSIONS
    assert reference.SOCKET == protocol.SOCKET
    assert f'#define SOCKET "{protocol.SOCKET}"' in (REFERENCE.parent / "netwright.c").read_text()
    assert {verb.decode() for verb in reference.VERBS} == {*protocol.Verb, "VERSION"}
    own = (reference.ENVIRONMENT, reference.IO, reference.UNDECODABLE, reference.INVALID)
    assert (*own, reference.AGAIN, reference.UNAVAILABLE) == (
        Code.INVALID_ENVIRONMENT,
        Code.IO_FAILURE,
        Code.UNDECODABLE,
        Code.INVALID_CONFIGURATION,
        Code.TRY_AGAIN,
        Code.UNAVAILABLE,
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_both_take_the_same_for_a_configuration(program: Path, data: st.DataObject) -> None:
    """Objects, and what a changed byte makes of them; told apart by the error without an agent."""
    found = data.draw(st.dictionaries(st.text(), _JSON, max_size=4))
    text = bytearray(
        msgspec.json.encode({**found, "agentSocket": "/nowhere", "cniVersion": "1.0.0"})
    )
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)))):
        text[at % len(text)] = byte
    said = FrontEnds(program, Path("/nowhere")).run("ADD", bytes(text))
    assert said.object["code"] in {6, 7, 11}
