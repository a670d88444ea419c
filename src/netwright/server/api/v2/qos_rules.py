"""Rules of QoS policies in the Networking API, and which types of rules there are.

/v2.0/qos/policies/ID/TYPE_rules    a policy's rules of a type
/v2.0/qos/rule-types                the types, and what enforces them
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict

from netwright.model.qos import (
    DSCP_MARKS,
    KBPS_MAX,
    BandwidthLimit,
    DscpMarking,
    MinimumBandwidth,
    QosDirection,
    QosPolicy,
    QosRule,
    QosRuleType,
    type_of,
)
from netwright.model.qos_errors import QosPolicyNotFound, QosRuleNotFound, QosRuleTypeNotFound
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.v2 import few, listing, policy, values
from netwright.server.api.v2.qos_policies import QosPolicies
from netwright.server.api.v2.resource import given, list_parameters
from netwright.server.api.v2.values import Body
from netwright.server.qos.commands import AddQosRule, ChangeQosRule, RemoveQosRule

Kbps = Annotated[int, Meta(ge=0, le=KBPS_MAX)]
Enforced = Literal["egress", "ingress"]


class BandwidthLimitCreation(Body, frozen=True, kw_only=True):
    max_kbps: Kbps
    max_burst_kbps: Kbps = 0
    direction: Enforced = "egress"


class BandwidthLimitChange(Body, frozen=True, kw_only=True):
    max_kbps: Kbps | UnsetType = UNSET
    max_burst_kbps: Kbps | UnsetType = UNSET
    direction: Enforced | UnsetType = UNSET


class DscpMarkingCreation(Body, frozen=True, kw_only=True):
    dscp_mark: int


class DscpMarkingChange(Body, frozen=True, kw_only=True):
    dscp_mark: int | UnsetType = UNSET


class MinimumBandwidthCreation(Body, frozen=True, kw_only=True):
    min_kbps: Kbps
    direction: Enforced = "egress"


class MinimumBandwidthChange(Body, frozen=True, kw_only=True):
    min_kbps: Kbps | UnsetType = UNSET
    direction: Enforced | UnsetType = UNSET


class BandwidthLimitView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    max_kbps: int
    max_burst_kbps: int
    direction: str


class DscpMarkingView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    dscp_mark: int


class MinimumBandwidthView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    min_kbps: int
    direction: str


class _Form(NamedTuple):
    """How rules of a type are asked for, kept and shown."""

    kind: QosRuleType
    rule: type[QosRule]
    creation: type[Body]
    change: type[Body]
    view: type[msgspec.Struct]

    @property
    def name(self) -> str:
        return f"{self.kind}_rule"


_FORMS = (
    _Form(
        QosRuleType.BANDWIDTH_LIMIT,
        BandwidthLimit,
        BandwidthLimitCreation,
        BandwidthLimitChange,
        BandwidthLimitView,
    ),
    _Form(
        QosRuleType.DSCP_MARKING,
        DscpMarking,
        DscpMarkingCreation,
        DscpMarkingChange,
        DscpMarkingView,
    ),
    _Form(
        QosRuleType.MINIMUM_BANDWIDTH,
        MinimumBandwidth,
        MinimumBandwidthCreation,
        MinimumBandwidthChange,
        MinimumBandwidthView,
    ),
)


def routes() -> tuple[Route, ...]:
    policies = QosPolicies()
    return (
        *(route for form in _FORMS for route in _Rules(form, policies).routes()),
        *_type_routes(),
    )


class _Rules:
    """A policy's rules of one type."""

    def __init__(self, form: _Form, policies: QosPolicies) -> None:
        self._form = form
        self._policies = policies
        self._collection = f"{form.name}s"
        attributes = form.view.__struct_encode_fields__
        self._creation = Shape[Any](
            _wrapping(form.name, form.creation), wrapped=True, read_only=frozenset({"id"})
        )
        self._change = Shape[Any](
            _wrapping(form.name, form.change),
            wrapped=True,
            read_only=frozenset({"id"}),
            changes=True,
        )
        self._listable = listing.Listable(
            collection=self._collection,
            filters={
                name: listing.text if name in {"id", "direction"} else listing.integer
                for name in attributes
            },
            sort_keys=frozenset(attributes),
        )

    def routes(self) -> tuple[Route, ...]:
        many = f"/v2.0/qos/policies/{{id}}/{self._collection}"
        one, access, view = f"{many}/{{rule}}", Access.PROJECT, self._form.view
        words, shown = self._form.name.replace("_", " "), {self._form.name: view}
        fields = Parameter("fields", repeated=True)
        return (
            Route("GET", many, self._list, access, f"List a policy's {words}s",
                  response={self._collection: list[view]},  # type: ignore[valid-type]
                  parameters=list_parameters(self._listable)),
            Route("POST", many, self._add, access, f"Add a {words} to a policy",
                  self._creation.type, shown, statuses=(201,)),
            Route("GET", one, self._show, access, f"Show a {words}", response=shown,
                  parameters=(fields,)),
            Route("PUT", one, self._alter, access, f"Change a {words}", self._change.type, shown),
            Route("DELETE", one, self._remove, access, f"Remove a {words}", statuses=(204,)),
        )  # fmt: skip

    async def _list(self, call: Call) -> Reply:
        found = await self._policies.visible(call, call.path["id"])
        views = [self._view(rule) for rule in self._of(found)]
        path = f"/v2.0/qos/policies/{found.id}/{self._collection}"
        return few.listed(call, self._listable, views, "id", path)

    async def _show(self, call: Call) -> Reply:
        fields = listing.fields_of(call.query)
        found = await self._policies.visible(call, call.path["id"])
        for rule in self._of(found):
            if rule.id == call.path["rule"]:
                return json_reply({self._form.name: listing.project(self._view(rule), fields)})
        raise self._missing(call)

    async def _add(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy.require_granted(call.caller, f"create_policy_{self._form.name}")
        policy_id = await self._changeable(call, "create")
        item = getattr(self._creation.decode(await call.body()), self._form.name)
        _check(given(item))
        make: Callable[..., QosRule] = self._form.rule
        rule = make(id=new_id(), **_kept(given(item)))
        made = await call.service.commit(
            AddQosRule(caller=call.caller, policy_id=policy_id, rule=rule)
        )
        return json_reply({self._form.name: self._view(made)}, 201)

    async def _alter(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy_id = await self._changeable(call, "update")
        item = getattr(self._change.decode(await call.body()), self._form.name)
        _check(given(item))
        command = ChangeQosRule(
            caller=call.caller,
            policy_id=policy_id,
            type=self._form.kind,
            rule_id=self._rule_id(call),
            changes=_kept(given(item)),
        )
        return json_reply({self._form.name: self._view(await call.service.commit(command))})

    async def _remove(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy_id = await self._changeable(call, "delete")
        command = RemoveQosRule(
            caller=call.caller,
            policy_id=policy_id,
            type=self._form.kind,
            rule_id=self._rule_id(call),
        )
        await call.service.commit(command)
        return Reply(204)

    async def _changeable(self, call: Call, verb: str) -> str:
        """The policy's id, if the caller may change its rules."""
        found = await self._policies.visible(call, call.path["id"])
        policy.require_granted(call.caller, f"{verb}_policy_{self._form.name}")
        if not call.caller.may_touch(found.project_id):
            raise QosPolicyNotFound(f"QoS policy {found.id} could not be found.")
        return found.id

    def _of(self, found: QosPolicy) -> Iterator[QosRule]:
        return (rule for rule in found.rules if type_of(rule) is self._form.kind)

    def _view(self, rule: QosRule) -> msgspec.Struct:
        return self._form.view(**asdict(rule))

    def _rule_id(self, call: Call) -> str:
        if not values.is_uuid(call.path["rule"]):
            raise self._missing(call)
        return call.path["rule"]

    def _missing(self, call: Call) -> QosRuleNotFound:
        return QosRuleNotFound(
            f"QoS rule {call.path['rule']} for policy {call.path['id']} could not be found."
        )


def _wrapping(name: str, item: type[Body]) -> type[Body]:
    """A body that holds one such rule under its name."""
    wrapped: Any = msgspec.defstruct(
        f"{item.__name__}Body", [(name, item)], bases=(Body,), frozen=True, kw_only=True
    )
    return cast("type[Body]", wrapped)


def _check(attributes: Mapping[str, Any]) -> None:
    mark = attributes.get("dscp_mark", DSCP_MARKS[0])
    if mark not in DSCP_MARKS:
        raise invalid("dscp_mark", f"'{mark}' is not in {list(DSCP_MARKS)}")


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """As the model has them."""
    return {
        name: QosDirection(value) if name == "direction" else value
        for name, value in attributes.items()
    }


class RuleTypeView(msgspec.Struct, frozen=True, kw_only=True):
    """`drivers` say which values of which parameters they enforce; lists leave them out."""

    type: str
    drivers: tuple[Mapping[str, Any], ...] | UnsetType = UNSET


def _range(start: int, end: int) -> Mapping[str, Any]:
    return {"parameter_type": "range", "parameter_values": {"start": start, "end": end}}


def _choices(*of: Any) -> Mapping[str, Any]:
    return {"parameter_type": "choices", "parameter_values": list(of)}


_BOTH = _choices("egress", "ingress")
_ENFORCED: Mapping[QosRuleType, Mapping[str, Mapping[str, Any]]] = {
    QosRuleType.BANDWIDTH_LIMIT: {
        "max_kbps": _range(0, KBPS_MAX),
        "max_burst_kbps": _range(0, KBPS_MAX),
        "direction": _BOTH,
    },
    QosRuleType.DSCP_MARKING: {"dscp_mark": _choices(*DSCP_MARKS)},
}
"""What agents on Open vSwitch enforce. Minimum bandwidth has no driver, and a port that is to have
some is not wired (law 11)."""

_TYPES_PATH = "/v2.0/qos/rule-types"
_TYPES = listing.Listable(collection="rule_types", filters={}, sort_keys=frozenset())


def _type_views() -> Iterator[RuleTypeView]:
    for kind, parameters in _ENFORCED.items():
        said = [{"parameter_name": name, **values} for name, values in parameters.items()]
        driver = {"name": "openvswitch", "supported_parameters": said}
        yield RuleTypeView(type=kind.value, drivers=(driver,))


def _type_routes() -> tuple[Route, ...]:
    fields, access = Parameter("fields", repeated=True), Access.PROJECT
    return (
        Route("GET", _TYPES_PATH, _list_types, access, "List types of QoS rules",
              response={"rule_types": list[RuleTypeView]}, parameters=list_parameters(_TYPES)),
        Route("GET", f"{_TYPES_PATH}/{{id}}", _show_type, access, "Show a type of QoS rules",
              response={"rule_type": RuleTypeView}, parameters=(fields,)),
    )  # fmt: skip


async def _list_types(call: Call) -> Reply:
    """Without what enforces them, as in Neutron."""
    views = [RuleTypeView(type=view.type) for view in _type_views()]
    return few.listed(call, _TYPES, views, "type", _TYPES_PATH)


async def _show_type(call: Call) -> Reply:
    """Administrators' alone, by Neutron's default policy."""
    fields, name = listing.fields_of(call.query), call.path["id"]
    policy.require_granted(call.caller, "get_rule_type")
    for view in _type_views():
        if view.type == name:
            return json_reply({"rule_type": listing.project(view, fields)})
    raise QosRuleTypeNotFound(
        f"QoS rule type {name} could not be found.", next=f"GET {_TYPES_PATH} lists them"
    )
