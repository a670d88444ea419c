"""What a caller who is no administrator is held to: read for a whole request at once."""

from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from netwright.model.resources import Network
from netwright.server.queries import Query, Reader


class Owned(Protocol):
    """A resource of a project."""

    @property
    def id(self) -> str: ...
    @property
    def project_id(self) -> str: ...


Value = TypeVar("Value", bound=Owned)


class Sight(NamedTuple, Generic[Value]):
    """By id, as they are stored: resources that a request names, networks that it touches.

    Of an administrator's request nothing is read: there is nothing to hold it to.
    """

    values: Mapping[str, Value]
    networks: Mapping[str, Network]


def of_ids(ids: Iterable[str]) -> Query:
    return Query(filters=(("id", tuple(dict.fromkeys(ids))),))


async def networks_of(reader: Reader, ids: Iterable[str]) -> Mapping[str, Network]:
    """The networks with these ids that exist."""
    query = of_ids(ids)
    if not query.filters[0][1]:
        return {}
    return {network.id: network for network in await reader.many(Network, query)}
