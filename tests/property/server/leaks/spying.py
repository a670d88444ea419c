"""A stranger who asks for everything by everything, and what the answers give away."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from tests.doubles.http import Answer, Client
from tests.property.server.leaks.belongings import (
    DEFERRED,
    MAKE,
    SHARED,
    Ids,
    Owned,
    name_of,
)
from tests.property.server.leaks.described import GHOST, Described, at, leaves, replaced

THEIRS = ("zq-u-port", "02:00:00:aa:bb:01", "10.77.0.77", "zqproj-a")
"""Texts of a's that may stand in texts of b's, too."""


def alike(value: str) -> str:
    """What looks like the value, and nobody has."""
    if len(value) == len(GHOST) and value.count("-") == GHOST.count("-"):
        return f"{value[:-4]}dead"
    last = value[-1]
    return value[:-1] + (str((int(last) + 5) % 10) if last.isdecimal() else chr(ord(last) + 5))


class Pair(NamedTuple):
    """One request in two forms; `values` are what they differ in."""

    method: str
    targets: tuple[str, str]
    bodies: tuple[Any, Any]
    values: tuple[str, str]
    headers: Mapping[str, str] = {}


class Spy:
    """Project b, who asks.

    `ghosts` look like the ids of others; `sent` are the words that it has put into its own texts.
    """

    def __init__(self, client: Client, foreign: list[Owned]) -> None:
        self._client = client
        self.secrets = frozenset[str]().union(*(each.secrets for each in foreign))
        self._ids = {id_ for each in foreign for id_ in each.ids.values() if len(id_) == len(GHOST)}
        self._ids &= self.secrets
        self.ghosts = frozenset(map(alike, self._ids))
        self.sent: set[str] = set()
        self.asked = 0
        self.allowed: set[tuple[str, int]] = set()

    def pairs_of_id(self) -> Iterator[tuple[str, str]]:
        yield from ((id_, alike(id_)) for id_ in sorted(self._ids))

    def pairs_of_text(self) -> Iterator[tuple[str, str]]:
        yield from ((text, alike(text)) for text in THEIRS)

    def pairs(self) -> Iterator[tuple[str, str]]:
        yield from ((secret, alike(secret)) for secret in sorted(self.secrets))

    async def tell_apart(self, pair: Pair) -> None:
        """Send both forms; what the answers give away fails the test."""
        told = []
        for target, body, value in zip(pair.targets, pair.bodies, pair.values, strict=True):
            answer = await self._client.ask(pair.method, target, body, headers=pair.headers)
            self.asked += 1
            self._look_for_secrets(pair.method, target, body, answer)
            if pair.method == "POST" and answer.status < 300:
                self.allowed.add((target.removeprefix("/v2.0/"), answer.status))
            if answer.status == 202:
                answer = await self._ended(answer)
                self._look_for_secrets(pair.method, target, body, answer)
            told.append(_shown(pair.method, answer, value))
            await self._undo(pair.method, target, answer)
        assert told[0] == told[1], (pair, told)

    async def ask(self, method: str, target: str) -> None:
        answer = await self._client.ask(method, target)
        self.asked += 1
        self._look_for_secrets(method, target, None, answer)

    async def _ended(self, accepted: Answer) -> Answer:
        """What became of an operation, as the answer that the request would have had."""
        path = f"/v1/operations/{accepted.json['id']}"
        ended = (await self._client.ask("GET", path, headers={"prefer": "wait=9"})).json
        body = ended["result"] if ended["error"] is None else {"error": ended["error"]}
        return Answer(ended["status"], {}, msgspec.json.encode(body))

    async def _undo(self, method: str, target: str, answer: Answer) -> None:
        """Delete what was made, so that the other form finds things as this one did."""
        collection = target.removeprefix("/v2.0/")
        if method != "POST" or collection not in MAKE or answer.status >= 300:
            return
        (found,) = answer.json.values()
        for one in found if isinstance(found, list) else [found]:
            id_ = one.get(name_of(collection), one).get("id")
            gone = await self._client.ask("DELETE", f"{target}/{id_}")
            assert gone.status == 204 or one.get("status", 0) >= 400, gone

    def _look_for_secrets(self, method: str, target: str, body: Any, answer: Answer) -> None:
        said = f"{answer.headers} {answer.body.decode()}"
        asked = f"{target} {body}"
        for secret in self.secrets - self.sent:
            if secret not in said:
                continue  # a hundred times as fast as looking for it as a word
            word = rf"(?<![0-9a-zA-Z.-]){re.escape(secret)}(?![0-9a-zA-Z-])"
            leaked = re.search(word, said) and secret not in asked and quote(secret) not in asked
            assert not leaked, (secret, method, target, body, answer)


def requests(described: Described, spy: Spy, own: Ids, shared: Ids) -> Iterator[Pair]:
    """Every route's paths, filters and bodies; those that change something of b's come last."""
    writes: list[Pair] = []
    for method, path, operation in described.operations():
        if not path.startswith(("/v1/", "/v2.0/")):
            continue
        names = re.findall(r"{(\w+)}", path)
        collection = path.split("/")[2]
        mine = {name: own.get(collection, GHOST) for name in names}
        for name in names:
            for values in spy.pairs():
                if "/" in values[0]:
                    continue
                targets = _targets(path, mine, name, values)
                body = next(described.bodies(operation, {}), None)
                yield Pair(method, targets, (body, body), values)
                guarded = {"if-match": "revision_number=1"}
                yield Pair(method, targets, (body, body), values, guarded)
        target = _target(path, mine)
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                for values in spy.pairs():
                    queries = [f"{target}?{parameter['name']}={quote(one)}" for one in values]
                    yield Pair(method, (queries[0], queries[1]), (None, None), values)
        for base in _bases(method, collection, own, shared):
            writes += _of_bodies(described, spy, (method, target, operation), base)
    yield from writes


def _bases(method: str, collection: str, own: Ids, shared: Ids) -> Iterator[Any]:
    """Bodies of b's that would do, to put another's values into."""
    if collection not in MAKE or method == "DELETE":
        yield {}
    elif method == "POST":
        for ids in (own, {**own, **{each: shared[each] for each in SHARED}}):
            yield {**MAKE[collection]({**ids, "cidr": "10.5.0.0/24", "prefix": "10.5.64.0/24"})}
    else:
        yield {}
        yield {"id": own[collection]}


def _of_bodies(
    described: Described, spy: Spy, where: tuple[str, str, Mapping[str, Any]], base: Any
) -> Iterator[Pair]:
    method, target, operation = where
    for body in described.bodies(operation, base):
        for path in leaves(body):
            pairs = spy.pairs_of_id() if at(body, path) == GHOST else spy.pairs_of_text()
            if path[-1] == "id" or str(path[-1]).endswith("_id"):
                pairs = spy.pairs_of_id() if path[-1] != "device_id" else spy.pairs_of_text()
                if path[-1] in {"project_id", "tenant_id"}:
                    pairs = spy.pairs_of_text()
            for values in pairs:
                bodies = (replaced(body, path, values[0]), replaced(body, path, values[1]))
                yield Pair(method, (target, target), bodies, values)
                if method != "DELETE" and values[1] in spy.ghosts:
                    yield Pair(method, (target, target), bodies, values, DEFERRED)
                if method != "POST" or next(iter(body)).endswith("s"):
                    lenient = {"prefer": "handling=lenient"}
                    yield Pair(method, (target, target), bodies, values, lenient)


def _targets(path: str, mine: Ids, name: str, values: tuple[str, str]) -> tuple[str, str]:
    first, second = (_target(path, {**mine, name: value}) for value in values)
    return first, second


def _target(path: str, values: Ids) -> str:
    return re.sub(r"{(\w+)}", lambda found: values[found[1]], path)


def _shown(method: str, answer: Answer, value: str) -> Any:
    """What the answer says, but for the value that was sent, and what differs each time."""
    of_this_answer = {"x-openstack-request-id", "content-length", "date"}
    headers = {k: v for k, v in answer.headers.items() if k not in of_this_answer}
    if method != "GET" and answer.status < 300 and answer.body:
        return answer.status, sorted(answer.json)
    body = answer.body.decode().replace(value, "VALUE").replace(quote(value, safe=""), "VALUE")
    return answer.status, headers, body
