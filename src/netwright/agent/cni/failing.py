"""Errors of the kernel, of Open vSwitch and of the server in the specification's terms."""

from collections.abc import Iterator
from contextlib import contextmanager

from netwright.agent.cni.namespaces import NamespaceGoneError, NamespaceUnfitError
from netwright.agent.cni.pairs import InterfaceExistsError
from netwright.agent.cni.pods import PodUnknownError
from netwright.agent.cni.records import Record
from netwright.agent.wiring import WiringError
from netwright.cni.protocol import CniError, Code
from netwright.model.errors import Category, NetwrightError, StaleEpoch

GONE = "the container has ended: there is nothing to clean up"
AGAIN = "the runtime may try again; netwright port explain says more of a port"

_PASSING = frozenset({Category.UNAVAILABLE, Category.INTERNAL, Category.NOT_FOUND})
"""Not found: this host, which registers soon."""


def as_cni(error: BaseException, what: str) -> BaseException:
    """The error in the specification's terms; a defect of ours, or a cancellation, as it is."""
    match error:
        case CniError():
            found = error.code, error.message, error.next
        case NamespaceGoneError():
            found = Code.UNKNOWN_CONTAINER, f"there is no such namespace: {error}", GONE
        case NamespaceUnfitError():
            found = Code.INVALID_ENVIRONMENT, str(error), "name the container's own by CNI_NETNS"
        case InterfaceExistsError():
            message = "the container has an interface of that name, which is not ours"
            found = Code.EXISTS, message, "choose another name"
        case PodUnknownError():
            found = Code.POD, str(error), "the runtime may try again, if the pod is to exist"
        case NetwrightError():
            found = _code(error), error.message, error.next or AGAIN
        case OSError():
            found = Code.IO_FAILURE, f"the host refused it: {error}", AGAIN
        case _:
            return error
    code, message, what_next = found
    return CniError(code, f"{what}: {message}", next=what_next)


def _code(error: NetwrightError) -> Code:
    is_passing = isinstance(error, StaleEpoch) or error.category in _PASSING
    return Code.TRY_AGAIN if is_passing else Code.REFUSED


@contextmanager
def told(record: Record) -> Iterator[None]:
    """What the host refuses is told, and tried again, like what Open vSwitch does not do."""
    try:
        yield
    except OSError as error:
        raise WiringError(
            f"the host refused to end {record.ifname} of container {record.container_id}: {error}",
            next="Look at the agent's log; it tries again.",
        ) from error
