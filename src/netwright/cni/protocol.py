"""What a front end and a host's agent say to each other: `POST /cni` on the agent's unix socket.

    request   Request as JSON: the runtime's environment, its configuration, the time that is left
    200       the result of ADD, or what another verb answers, for stdout
    204       done; the verb has no result
    4xx, 5xx  the error object of the specification; the front end fails with it

Numbers and names are those of the CNI specification 1.1.0; netwright.c has its own copy of what it
needs of them.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = VERSIONS[-1]
PATH = "/cni"
SOCKET = "/run/netwright/cni.sock"


class Verb(StrEnum):
    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    GC = "GC"
    STATUS = "STATUS"


SINCE: Mapping[Verb, str] = {Verb.CHECK: "0.4.0", Verb.GC: "1.1.0", Verb.STATUS: "1.1.0"}
"""The first version of the specification that has the verb; the others are in all of them."""


class Code(IntEnum):
    """Error codes: of the specification (section 5) below 100, ours from there on."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    UNDECODABLE = 6
    INVALID_CONFIGURATION = 7
    TRY_AGAIN = 11
    UNAVAILABLE = 50
    LIMITED = 51
    EXISTS = 100  # what ADD shall make is there already
    REFUSED = 101  # the server does not give what is asked for: the message says why
    DIFFERS = 102  # CHECK found something else than ADD had made
    DEFECT = 103  # of ours; the agent's log has the trace
    POD = 104  # the pod lacks what the configuration asks of it, or its annotation is wrong


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a front end. Variables that the runtime did not set are ""."""

    command: str
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    args: str = ""
    path: str = ""
    deadline_ms: int
    config: msgspec.Raw


class CniError(Exception):
    """Why a verb failed: a code, who and what and why, and what to do."""

    def __init__(self, code: Code, message: str, *, next: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.code = code
        self.message = message
        self.next = next

    def object(self, version: str) -> dict[str, Any]:
        """The specification's error object."""
        return {
            "cniVersion": version if version in VERSIONS else NEWEST,
            "code": int(self.code),
            "msg": self.message,
            "details": self.next,
        }
