"""What was done about an attachment or a switch, asked by people beside the controller.

They name networks by id or name, and mistype: then the answer is what there is.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from netwright.fabric.store import Step, reading, steps_of
from netwright.model.errors import NotFound
from netwright.model.resources import Network
from netwright.model.topology import Topology
from netwright.model.wire import Kind

KNOWN_SHOWN_MAX = 20


def history(directory: Path, wanted: str) -> Sequence[Step]:
    """The newest steps of `NETWORK@HOST` or of a switch, the oldest of them first.

    Raises NotFound for what nothing is known of, saying what there is; Unavailable.
    """
    with reading(directory) as connection:
        if steps := steps_of(connection, wanted):
            return steps
        network, at, host = wanted.rpartition("@")
        if not at:
            _require_switch(connection, wanted)
            return ()
        ids = _ids(_networks(connection), network)
        found = [steps for id_ in ids if (steps := steps_of(connection, f"{id_}@{host}"))]
        if len(found) > 1:
            raise NotFound(
                f"{len(found)} networks are called {network}, and host {host} has history of each.",
                next=f"Name one by its id: {', '.join(ids)}.",
            )
        if not found:
            raise _unknown(connection, network, host, ids)
        return found[0]


def _networks(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Id → name."""
    rows = connection.execute("SELECT id, body FROM told WHERE kind = ?", (Kind.NETWORK,))
    return {id_: msgspec.json.decode(body, type=Network).name for id_, body in rows}


def _ids(networks: Mapping[str, str], wanted: str) -> Sequence[str]:
    """Those that are meant. A network that is gone may have history by its id."""
    return [id_ for id_, name in networks.items() if wanted in {id_, name}] or [wanted]


def _unknown(
    connection: sqlite3.Connection, network: str, host: str, ids: Sequence[str]
) -> NotFound:
    sql = "SELECT DISTINCT subject FROM step WHERE subject > ? AND subject < ?"
    # `A` follows `@`.
    subjects = [row for id_ in ids for row in connection.execute(sql, (f"{id_}@", f"{id_}A"))]
    if hosts := {subject.rpartition("@")[2] for (subject,) in subjects}:
        return NotFound(
            f"Nothing is known of network {network} on host {host}.",
            next=f"It has history on {_listed(hosts)}.",
        )
    names = {name or id_ for id_, name in _networks(connection).items()}
    return NotFound(
        f"Nothing was ever done for network {network} on any host.",
        next=f"The controller knows networks {_listed(names)}."
        if names
        else "The controller knows no network yet.",
    )


def _require_switch(connection: sqlite3.Connection, name: str) -> None:
    bodies = connection.execute("SELECT body FROM told WHERE kind = ?", (Kind.TOPOLOGY,))
    told = [msgspec.json.decode(body, type=Topology) for (body,) in bodies]
    known = {switch.name for topology in told for switch in topology.switches}
    if name in known:
        return
    raise NotFound(
        f"Nothing is known of a switch {name}.",
        next=f"There are {_listed(known)}; of an attachment write NETWORK@HOST."
        if known
        else "The controller knows no switch yet; of an attachment write NETWORK@HOST.",
    )


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)
    more = f" and {len(first) - KNOWN_SHOWN_MAX} more" if len(first) > KNOWN_SHOWN_MAX else ""
    return ", ".join(first[:KNOWN_SHOWN_MAX]) + more
