"""What is checked of one attribute, over HTTP: each check has a name, and says what was wrong.

A check that an alias cannot have is not made: nobody filters by what is not `is_filter`, but that
such a filter is refused is checked.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from tests.doubles.http import Answer, Client
from tests.unit.server.oracle.definitions import UNSET, Attribute, attributes_of
from tests.unit.server.oracle.exceptions import LATER
from tests.unit.server.oracle.policies import NETWORK_OWNER, POLICY, Rule
from tests.unit.server.oracle.probes import FORMS, HIDDEN_FILTERS, Good, good_of, refused
from tests.unit.server.oracle.scene import (
    HIDDEN,
    MEMBER,
    NOBODYS,
    READ_ONLY,
    WITHOUT_PAGES,
    Body,
    Scene,
    found_or_made,
    key_of,
    listed_alone,
    name_of,
    path_of,
    selection_of,
)

from netwright.server.api.v2 import extensions


class Case(NamedTuple):
    """An attribute of a collection, the alias that brings it, and what is said of it."""

    collection: str
    attribute: str
    alias: str
    says: Attribute

    @property
    def good(self) -> Good | None:
        return good_of(self.collection, self.attribute, self.says)

    def flag(self, name: str) -> bool:
        return bool(self.says.get(name))


def cases() -> Iterator[Case]:
    """All attributes of what is announced, but those of collections that come later."""
    for collection, attributes in attributes_of(extensions.announced()).items():
        if collection in LATER:
            continue
        for attribute, (alias, says) in attributes.items():
            yield Case(collection, attribute, alias, says)


_MISSING = 404
PROJECT = frozenset({"tenant_id", "project_id"})
"""Left out, it is the caller's; given, it is the caller's, but for administrators."""

Found = AsyncIterator[tuple[str, str | None]]
"""A check's name, and what was wrong, if anything was."""


async def checked(scene: Scene, case: Case) -> Mapping[str, str | None]:
    """All checks of an attribute by their names."""
    found: dict[str, str | None] = {}
    await scene.hear()
    for check in _CHECKS:
        async for name, wrong in check(scene, case):
            assert name not in found, f"{case}: two checks are named {name}"
            found[name] = wrong
        await scene.clear()
    return found


async def _shown(scene: Scene, case: Case) -> Found:
    made, key = await found_or_made(scene, case.collection), key_of(case.collection)
    query = selection_of(case.collection, made)
    path = f"{path_of(case.collection)}/{made[key]}"
    name, attribute = name_of(case.collection), case.attribute
    answer = await scene.admin.get(path)
    if answer.status == 404 and case.collection in WITHOUT_PAGES:
        path, shown = f"{path_of(case.collection)}?{query}", made
    else:
        shown = answer.json[name]
    listed = await listed_alone(scene, case.collection, made[key], query)
    alone = await _alone(scene, case, path)
    for where, one in (("made", made), ("shown", shown), ("listed", listed[0])):
        wanted = case.flag("is_visible")
        yield where, None if (attribute in one) is wanted else f"its keys are {sorted(one)}"
    if case.flag("is_visible"):
        yield "alone by fields", None if list(alone) == [attribute] else f"fields gave {alone}"


async def _alone(scene: Scene, case: Case, path: str) -> Any:
    """Only this attribute, by `fields`."""
    field = f"fields={quote(case.attribute)}"
    if "?" in path:
        return (await scene.admin.get(f"{path}&{field}")).json[case.collection][0]
    return (await scene.admin.get(f"{path}?{field}")).json[name_of(case.collection)]


async def _default(scene: Scene, case: Case) -> Found:
    if case.collection in READ_ONLY or not case.flag("allow_post"):
        return
    if case.attribute in PROJECT:
        return
    body = await scene.body(case.collection)
    if "default" not in case.says:
        body.pop(case.attribute, None)
        answer = await scene.create(case.collection, scene.admin, body)
        yield "required", _is_refused(answer, "not specified")
        return
    default = case.says["default"]
    if case.attribute in body or default is UNSET or not case.flag("is_visible"):
        return
    made = await scene.one(case.collection, scene.admin)
    value = made.get(case.attribute)
    yield "default", None if value == default else f"it is {value!r}, not {default!r}"


async def _created(scene: Scene, case: Case) -> Found:
    if case.collection in READ_ONLY:
        whole: Body = {name_of(case.collection): {}}
        answer = await scene.admin.post(path_of(case.collection), whole)
        yield "create refused", None if answer.status in {404, 405} else f"{answer}"
        return
    if not case.flag("allow_post"):
        body = await scene.body(case.collection) | {case.attribute: "one"}
        answer = await scene.create(case.collection, scene.admin, body)
        said = f"Attribute '{case.attribute}' not allowed in POST"
        yield "create refused", _is_refused(answer, said)
        return
    good = case.good
    if good is None:
        yield "create", "nobody said in `probes` what it takes"
        return
    for name, value in (("create", good.first), ("create otherwise", good.second)):
        if name == "create otherwise" and value == good.first:
            continue
        answer, wanted = await _creation(scene, case, value)
        yield name, _is_shown(answer, case, wanted, 201)
    for given, wanted in _forms(case):
        answer, _ = await _creation(scene, case, given, like=wanted)
        yield f"create with {given!r}", _is_shown(answer, case, wanted, 201)
    for probe in refused(case.attribute, case.says):
        answer, _ = await _creation(scene, case, probe)
        yield f"create refuses {_short(probe)}", _is_refused(answer, case.attribute)


async def _updated(scene: Scene, case: Case) -> Found:
    if case.collection in READ_ONLY:
        if case.flag("allow_put"):
            made = await found_or_made(scene, case.collection)
            target = f"{path_of(case.collection)}/{made[key_of(case.collection)]}"
            answer = await scene.admin.put(target, {name_of(case.collection): {}})
            yield "update", None if answer.status == 200 else f"{answer.status}"
        return
    if case.collection in {"security_group_rules", "default_security_group_rules"}:
        return  # they are never changed, as Neutron's
    path, good = path_of(case.collection), case.good
    made = await _made(scene, case)
    if not case.flag("allow_put"):
        answer = await scene.update(
            case.collection, scene.admin, made["id"], {case.attribute: "one"}
        )
        said = f"Cannot update read-only attribute {case.attribute}"
        yield "update refused", _is_refused(answer, said)
        return
    if good is None:
        yield "update", "nobody said in `probes` what it takes"
        return
    for name, value in (("update", good.second), ("update back", good.first)):
        filled = scene.filled(value)
        change = {case.attribute: filled, **scene.filled(good.beside_change)}
        answer = await scene.update(case.collection, scene.admin, made["id"], change)
        yield name, _is_shown(answer, case, filled, 200)
    for given, wanted in _forms(case):
        change = {case.attribute: given, **scene.filled(good.beside_change)}
        answer = await scene.update(case.collection, scene.admin, made["id"], change)
        yield f"update with {given!r}", _is_shown(answer, case, wanted, 200)
    before = (await scene.admin.get(f"{path}/{made['id']}")).json
    for probe in refused(case.attribute, case.says):
        change = {case.attribute: probe}
        answer = await scene.update(case.collection, scene.admin, made["id"], change)
        yield f"update refuses {_short(probe)}", _is_refused(answer, case.attribute)
    after = (await scene.admin.get(f"{path}/{made['id']}")).json
    yield "unchanged by what was refused", None if after == before else f"{before} -> {after}"


async def _filtered(scene: Scene, case: Case) -> Found:
    path, attribute = path_of(case.collection), case.attribute
    if not case.flag("is_filter"):
        answer = await scene.admin.get(f"{path}?{quote(attribute)}=one")
        said = f"['{attribute}'] is invalid attribute for filtering"
        yield "filter refused", _is_refused(answer, said)
        return
    key = key_of(case.collection)
    one, other = await _two(scene, case)
    for made, unlike in ((one, other), (other, one)):
        value = made.get(attribute, HIDDEN_FILTERS.get(case[:2]))
        target = f"{path}?{quote(attribute)}={_in_query(value)}"
        ours = await _ids(scene.admin, target, key)
        name = "filter" if made is one else "filter otherwise"
        if ours is not None and value == []:
            yield name, None  # what has none is found by no value
        elif ours is not None and not case.flag("is_visible"):
            yield name, None  # by what, is tested where it is filtered
        elif ours is None or made[key] not in ours:
            yield name, f"{value!r} does not find what has it"
        elif unlike.get(attribute) != value and unlike[key] in ours:
            yield name, f"{value!r} finds what has {unlike.get(attribute)!r}"
        else:
            yield name, None


async def _sorted(scene: Scene, case: Case) -> Found:
    path, attribute = path_of(case.collection), case.attribute
    if not case.flag("is_sort_key"):
        answer = await scene.admin.get(f"{path}?sort_key={quote(attribute)}")
        said = f"['{attribute}'] is invalid attribute for sort_keys"
        yield "sort refused", _is_refused(answer, said)
        return
    await _two(scene, case)
    for direction in ("asc", "desc"):
        target = f"{path}?sort_key={quote(attribute)}&sort_dir={direction}"
        answer = await scene.admin.get(target)
        if answer.status != 200:
            yield f"sort {direction}", f"{answer.status}: {answer.body.decode()}"
            continue
        shown = [each.get(attribute) for each in answer.json[case.collection]]
        values = [each for each in shown if each is not None]
        wanted = sorted(values, reverse=direction == "desc")
        yield f"sort {direction}", None if values == wanted else f"the order is {values}"


async def _of_no_project(scene: Scene, case: Case) -> Found:
    """Who sees it; administrators alone make it, if it is made at all."""
    if case.collection in READ_ONLY:
        answer = await scene.member.get(path_of(case.collection))
        is_shown = not READ_ONLY[case.collection].is_admins_only
        listed = answer.json.get(case.collection)
        yield "member lists", None if bool(listed) is is_shown else f"{answer}"
        return
    body = await scene.body(case.collection)
    answer = await scene.create(case.collection, scene.member, body)
    yield "member creates", _is_allowed(answer, allowed=False)
    made = await scene.one(case.collection, scene.admin)
    answer = await scene.member.get(f"{path_of(case.collection)}/{made['id']}")
    if case.collection in HIDDEN:
        yield "member sees nothing", None if answer.status == _MISSING else f"{answer}"
        return
    shown = answer.json[name_of(case.collection)]
    yield "member sees it", None if case.attribute in shown else f"its keys are {sorted(shown)}"


async def _ruled(scene: Scene, case: Case) -> Found:
    """Who may give it, and who sees it."""
    if case.collection in READ_ONLY or case.collection in NOBODYS:
        async for each in _of_no_project(scene, case):
            yield each
        return
    rule = POLICY.get((case.collection, case.attribute), Rule())
    if case.flag("enforce_policy") and (case.collection, case.attribute) not in POLICY:
        yield "policy", "nobody said in `policies` who may do what"
    good = case.good
    if case.flag("is_visible"):
        made = await scene.one(case.collection, scene.admin, {"project_id": "member"})
        shown = (await scene.member.get(f"{path_of(case.collection)}/{made['id']}")).json
        sees = case.attribute in shown[name_of(case.collection)]
        wanted = not rule.is_seen_by_admins_only
        yield "member sees it", None if sees is wanted else f"a member sees it: {sees}"
    if good is None or case.attribute in PROJECT:
        return
    if case.flag("allow_post"):
        allowed = rule.create != "admin"
        answer, _ = await _creation(scene, case, rule.of(good.second), scene.member)
        yield "member creates with it", _is_allowed(answer, allowed=allowed)
    if case.flag("allow_put"):
        made = await _made(scene, case, unlike=rule.value)
        change = {
            case.attribute: scene.filled(rule.of(good.second)),
            **scene.filled(good.beside_change),
        }
        answer = await scene.update(case.collection, scene.member, made["id"], change)
        yield "member updates it", _is_allowed(answer, allowed=rule.update != "admin")
    if NETWORK_OWNER in {rule.create, rule.update}:
        async for each in _ruled_in_anothers_network(scene, case, rule, good):
            yield each


async def _ruled_in_anothers_network(scene: Scene, case: Case, rule: Rule, good: Good) -> Found:
    where = {"network_id": scene.made["shared"]}
    value = scene.filled(rule.of(good.second))
    if rule.create == NETWORK_OWNER:
        answer = await scene.create(case.collection, scene.member, {**where, case.attribute: value})
        yield "in a shared network, creates with it", _is_allowed(answer, allowed=False)
    made = await scene.one(case.collection, scene.member, where)
    if rule.update in {NETWORK_OWNER, "admin"}:
        answer = await scene.update(
            case.collection, scene.member, made["id"], {case.attribute: value}
        )
        yield "in a shared network, updates it", _is_allowed(answer, allowed=False)


_CHECKS: tuple[Callable[[Scene, Case], Found], ...] = (
    *(_shown, _default, _created, _updated, _filtered, _sorted, _ruled),
)


async def _body(scene: Scene, case: Case, value: Any, like: Any = UNSET) -> Body:
    """What one with this value of the attribute is made of; the member's, whoever makes it.

    `like`: the value that it means, if it is written otherwise.
    """
    good = case.good
    assert good is not None
    is_second = good.second in (value, like) and good.otherwise is not None
    beside = good.otherwise if is_second else good.beside
    body = {**await scene.body(case.collection), **scene.filled(beside)}
    body = {key: each for key, each in body.items() if each is not None}
    whose = {} if case.collection in NOBODYS else {"project_id": MEMBER}
    return {**whose, **body, case.attribute: scene.filled(value)}


async def _creation(
    scene: Scene, case: Case, value: Any, client: Client | None = None, like: Any = UNSET
) -> tuple[Answer, Any]:
    """The answer to a creation with the value, and the value with ids filled in.

    What was made is gone then, so that another may have the same address or prefix.
    """
    body = await _body(scene, case, value, like)
    answer = await scene.create(case.collection, client or scene.admin, body)
    await scene.clear()
    return answer, body[case.attribute]


async def _made(scene: Scene, case: Case, unlike: Any = UNSET) -> Any:
    """The member's, with a value that is known to be taken, if it can be given so."""
    if case.good is None or not case.flag("allow_post"):
        return await scene.one(case.collection, scene.admin, {"project_id": MEMBER})
    value = case.good.first if case.good.first != unlike else case.good.second
    body = await _body(scene, case, value)
    answer = await scene.create(case.collection, scene.admin, body)
    assert answer.status == 201, (body, answer)
    return answer.json[name_of(case.collection)]


async def _two(scene: Scene, case: Case) -> tuple[Any, Any]:
    """Two that differ in the attribute, if it can be given."""
    good = case.good
    if good is None or not case.flag("allow_post"):
        one = await found_or_made(scene, case.collection)
        return one, await found_or_made(scene, case.collection)
    found = []
    for value in (good.first, good.second):
        body = await _body(scene, case, value)
        answer = await scene.create(case.collection, scene.admin, body)
        assert answer.status == 201, (body, answer)
        found.append(answer.json[name_of(case.collection)])
    return found[0], found[1]


def _forms(case: Case) -> tuple[tuple[Any, Any], ...]:
    return FORMS.get(case.says.get("convert_to"), ())


async def _ids(client: Client, target: str, key: str) -> set[str] | None:
    answer = await client.get(target)
    if answer.status != 200:
        return None
    (values,) = (value for key, value in answer.json.items() if not key.endswith("_links"))
    return {one[key] for one in values}


def _in_query(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return quote(f"ip_address={value[0]['ip_address']}")
    if isinstance(value, list):
        return quote(str(value[0])) if value else ""
    return quote(str(value)) if value is not None else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 90 else f"{text[:20]}… ({len(text)} characters)"


def _is_refused(answer: Answer, says: str) -> str | None:
    if answer.status != 400:
        return f"{answer.status} {answer.body.decode()[:300]}"
    if says not in answer.error["message"]:
        return f"it says {answer.error['message']!r}, not {says!r}"
    return None


def _is_shown(answer: Answer, case: Case, wanted: Any, status: int) -> str | None:
    if answer.status != status:
        return f"{answer.status} {answer.body.decode()[:300]}"
    shown = answer.json[name_of(case.collection)]
    if case.flag("is_visible") and shown[case.attribute] != wanted:
        return f"{msgspec.json.encode(wanted).decode()} is shown as {shown[case.attribute]!r}"
    return None


def _is_allowed(answer: Answer, *, allowed: bool) -> str | None:
    done = answer.status in {200, 201}
    if done is allowed and (done or answer.status == 403):
        return None
    return f"{answer.status} {answer.body.decode()[:300]}"
