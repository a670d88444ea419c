"""A plan's steps as requests to Netwright, and what of them it refused."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from netwright_neutron.client import Client, Outcome, Refused
from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import Wanted
from netwright_neutron.planning import (
    AddRules,
    Attach,
    Create,
    Delete,
    Detach,
    RemoveRules,
    Step,
    Tag,
    Update,
    rule_changes,
)

Wishes = Mapping[Key, Wanted | None]
Errors = dict[Key, str]


def perform(client: Client, step: Step, wanted: Wishes) -> Errors:
    """Do the step; why what of it was refused. Raises Unreachable."""
    match step:
        case Create(kind, bodies):
            keys = [Key(kind, body["handed_over"]["id"]) for body in bodies]
            outcomes = client.create(kind, bodies)
            return {**_errors(keys, outcomes), **_with_rules(client, keys, outcomes, wanted)}
        case Update(kind, bodies):
            return _errors([Key(kind, body["id"]) for body in bodies], client.update(kind, bodies))
        case Delete(kind, ids):
            outcomes = client.delete(kind, ids)
            return _errors([Key(kind, id_) for id_ in ids], outcomes, absent_is_done=True)
        case _:
            key, requests = _requests(client, step)
            return _refused(key, requests)


def _requests(client: Client, step: Step) -> tuple[Key, Sequence[Callable[[], None]]]:
    """The resource that the step changes, and what is asked for it, one after the other."""
    match step:
        case Attach(router_id, port_id):
            return Key(Kind.ROUTER, router_id), [partial(client.attach, router_id, port_id)]
        case Detach(router_id, port_id):
            return Key(Kind.ROUTER, router_id), [partial(client.detach, router_id, port_id)]
        case AddRules(group_id, rules):
            return Key(Kind.SECURITY_GROUP, group_id), [partial(client.add_rules, group_id, rules)]
        case RemoveRules(group_id, rule_ids):
            asked = [partial(client.remove_rule, rule_id) for rule_id in rule_ids]
            return Key(Kind.SECURITY_GROUP, group_id), asked
        case Tag(key, tag):
            return key, [partial(client.tag, key, tag)]
    raise AssertionError(step)


def _refused(key: Key, requests: Sequence[Callable[[], None]]) -> Errors:
    try:
        for request in requests:
            request()
    except Refused as refused:
        return {key: str(refused)}
    return {}


def _with_rules(
    client: Client, keys: Sequence[Key], outcomes: Sequence[Outcome], wanted: Wishes
) -> Errors:
    """Groups that were made have rules of their own, which are brought to Neutron's at once."""
    errors: Errors = {}
    for key, outcome in zip(keys, outcomes, strict=True):
        group = wanted[key]
        if key.kind is Kind.SECURITY_GROUP and outcome.row is not None and group is not None:
            for step in rule_changes(group, outcome.row):
                errors |= perform(client, step, wanted)
    return errors


def _errors(
    keys: Sequence[Key], outcomes: Sequence[Outcome], *, absent_is_done: bool = False
) -> Errors:
    return {
        key: outcome.error
        for key, outcome in zip(keys, outcomes, strict=True)
        if outcome.error and not (absent_is_done and outcome.is_absent)
    }
