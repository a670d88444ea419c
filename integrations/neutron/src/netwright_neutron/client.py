"""Netwright's APIs as this package asks them: in batches, each request within a time."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import requests

from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import Row

_PAGE = 1000
_ABSENT = 404
_IDS_AT_ONCE = 50
"""A URL with so many ids stays below what servers take."""

_WATCH_SILENT_S_MAX = 15.0
"""The server says something each 5 s."""


class Unreachable(Exception):
    """Netwright did not answer, or not as itself; nothing is known of what was asked."""


class Refused(Exception):
    """Netwright answered that it will not; `str` is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Outcome(NamedTuple):
    """Of one item: the error in words ("" if there was none), and the resource as it is now."""

    error: str
    status: int
    row: Row | None = None

    @property
    def is_absent(self) -> bool:
        return self.status == _ABSENT


class Client:
    """For one thread."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        if token:
            self._session.headers["X-Auth-Token"] = token

    def close(self) -> None:
        self._session.close()

    # -- reading

    def some(self, kind: Kind, ids: Iterable[str]) -> dict[str, Row]:
        """Those of these that there are, by id."""
        wanted, found = sorted(ids), {}
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            query = [("id", each) for each in wanted[start : start + _IDS_AT_ONCE]]
            for row in self._ask("GET", kind.path, query)[kind.collection]:
                found[str(row["id"])] = row
        return found

    def all(self, kind: Kind, mark: str) -> Iterator[Row]:
        """All that bear the mark, page by page."""
        query = [("tags", mark), ("limit", str(_PAGE)), ("sort_key", "id"), ("sort_dir", "asc")]
        marker: list[tuple[str, str]] = []
        while True:
            page = self._ask("GET", kind.path, [*query, *marker])[kind.collection]
            yield from page
            if len(page) < _PAGE:
                return
            marker = [("marker", str(page[-1]["id"]))]

    def interfaces(self, router_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """The ports that are these routers' interfaces, by router."""
        ids, found = sorted(router_ids), dict[str, set[str]]()
        for start in range(0, len(ids), _IDS_AT_ONCE):
            query = [("device_id", each) for each in ids[start : start + _IDS_AT_ONCE]]
            query += [("device_owner", "network:router_interface"), ("fields", "id")]
            query += [("fields", "device_id")]
            for row in self._ask("GET", Kind.PORT.path, query)[Kind.PORT.collection]:
                found.setdefault(str(row["device_id"]), set()).add(str(row["id"]))
        return {router_id: frozenset(ports) for router_id, ports in found.items()}

    def hosts(self) -> frozenset[str]:
        """The hosts that have an agent of Netwright's."""
        return frozenset(str(host["name"]) for host in self._ask("GET", "/v1/hosts")["hosts"])

    # -- changing

    def create(self, kind: Kind, bodies: Sequence[Row]) -> list[Outcome]:
        return self._many("POST", kind, bodies)

    def update(self, kind: Kind, bodies: Sequence[Row]) -> list[Outcome]:
        return self._many("PUT", kind, bodies)

    def delete(self, kind: Kind, ids: Sequence[str]) -> list[Outcome]:
        return self._many("DELETE", kind, [{"id": id_} for id_ in ids])

    def tag(self, key: Key, tag: str) -> None:
        self._ask("PUT", f"{key.kind.path}/{key.id}/tags/{tag}")

    def attach(self, router_id: str, port_id: str) -> None:
        path = f"{Kind.ROUTER.path}/{router_id}/add_router_interface"
        self._ask("PUT", path, body={"port_id": port_id})

    def detach(self, router_id: str, port_id: str) -> None:
        path = f"{Kind.ROUTER.path}/{router_id}/remove_router_interface"
        self._ask("PUT", path, body={"port_id": port_id})

    def add_rules(self, group_id: str, rules: Sequence[Row]) -> None:
        body = {"security_group_rules": [{**rule, "security_group_id": group_id} for rule in rules]}
        self._ask("POST", "/v2.0/security-group-rules", body=body)

    def remove_rule(self, rule_id: str) -> None:
        self._ask("DELETE", f"/v2.0/security-group-rules/{rule_id}")

    def _many(self, method: str, kind: Kind, bodies: Sequence[Row]) -> list[Outcome]:
        """Each by itself: the outcomes in their order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(bodies), _PAGE):
            outcomes += self._part(method, kind, bodies[start : start + _PAGE])
        return outcomes

    def _part(self, method: str, kind: Kind, bodies: Sequence[Row]) -> list[Outcome]:
        """As `_many`. A body whose form is refused fails alone, not with those beside it."""
        try:
            said = self._ask(
                method, kind.path, body={kind.collection: list(bodies)}, prefer="handling=lenient"
            )
        except Refused as refused:
            if len(bodies) == 1:
                return [Outcome(str(refused), refused.status)]
            half = len(bodies) // 2
            return [
                *self._part(method, kind, bodies[:half]),
                *self._part(method, kind, bodies[half:]),
            ]
        return [_outcome(kind, each) for each in said[kind.collection]]

    # -- watching

    def watch(self, kinds: str) -> Iterator[Mapping[str, Any]]:
        """Lines of the watch, a snapshot first; raises Unreachable when it ends."""
        url, wait = f"{self._url}/v1/watch", (self._timeout_s, _WATCH_SILENT_S_MAX)
        try:
            with self._session.get(url, params={"kinds": kinds}, stream=True, timeout=wait) as got:
                _check(got)
                for line in got.iter_lines(chunk_size=None):
                    if line:
                        yield json.loads(line)
        except (requests.RequestException, ValueError) as error:
            raise Unreachable(f"the watch of {url} ended: {error}") from error
        raise Unreachable(f"the watch of {url} ended")

    def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        prefer: str = "",
    ) -> Any:
        headers = {"Prefer": prefer} if prefer else {}
        try:
            got = self._session.request(
                method, self._url + path, params=list(query), json=body, headers=headers,
                timeout=self._timeout_s,
            )  # fmt: skip
            _check(got)
            return got.json() if got.content else None
        except (requests.RequestException, ValueError) as error:
            raise Unreachable(f"{method} {self._url}{path}: {error}") from error


def _outcome(kind: Kind, said: Mapping[str, Any]) -> Outcome:
    row = said.get(kind.value)
    return Outcome(_reason(said), int(said["status"]), row)


def _check(got: requests.Response) -> None:
    """Raises Refused for what another request of the kind may well be granted, else Unreachable."""
    if got.ok:
        return
    try:
        reason = _reason(got.json()) or got.text
    except ValueError:
        reason = got.text
    told = f"{got.request.method} {got.url}: {got.status_code} {reason}"
    if got.status_code >= requests.codes.server_error or got.status_code in {
        requests.codes.unauthorized,
        requests.codes.forbidden,
        requests.codes.too_many_requests,
    }:
        raise Unreachable(told)
    raise Refused(got.status_code, told)


def _reason(said: Mapping[str, Any]) -> str:
    error = said.get("NeutronError") or said.get("error")
    if not error:
        return ""
    return f"{error.get('type', 'error')}: {error.get('message', error)}"
