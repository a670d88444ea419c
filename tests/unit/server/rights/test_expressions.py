"""Policy's expressions: what they mean, and what is none."""

import pytest

from netwright.server.rights.expressions import NoExpression, Supposed, evaluate, parse

OWN = "project_id:%(project_id)s"
NETWORKS = "tenant_id:%(network:tenant_id)s"


def holds(text: str, *roles: str, owns: bool = False, owns_network: bool = False) -> bool:
    rules = {"it": parse(text), "admin": parse("role:admin"), "never": parse("!")}
    return evaluate(rules, "it", Supposed(frozenset(roles), owns, owns_network))


@pytest.mark.parametrize(
    ("text", "roles", "expected"),
    [
        ("", (), True),
        ("@", (), True),
        ("!", ("admin",), False),
        ("role:admin", ("admin",), True),
        ("role:Admin", ("admin",), True),
        ("role:admin", ("member",), False),
        ("rule:admin", ("admin",), True),
        ("not rule:admin", ("admin",), False),
        ("not role:a and role:b", ("b",), True),
        ("role:a or role:b and role:c", ("a",), True),
        ("(role:a or role:b) and role:c", ("a",), False),
        ("(role:a or role:b) and role:c", ("b", "c"), True),
        ("role:a OR role:b AND NOT role:c", ("b", "c"), False),
        ("not (role:a or role:b)", ("c",), True),
        ("role:network-admin.2", ("network-admin.2",), True),
        ("not not role:a", ("a",), True),
    ],
)
def test_what_roles_make_of_it(text: str, roles: tuple[str, ...], *, expected: bool) -> None:
    assert holds(text, *roles) is expected


def test_whose_it_is_is_supposed() -> None:
    text = f"role:member and {OWN} or {NETWORKS}"
    assert holds(text, "member", owns=True)
    assert not holds(text, "member")
    assert not holds(text, owns=True)
    assert holds(text, owns_network=True)


@pytest.mark.parametrize(
    "text",
    [
        "role:",
        "rule:",
        "role:a role:b",
        "role:a or",
        "and role:a",
        "not",
        "(role:a",
        "role:a)",
        "()",
        "user_id:%(user_id)s",
        "field:networks:shared=True",
        "role:a || role:b",
        "admin",
        "project_id:%(tenant)s",
        "http://example/%(x)s",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(NoExpression):
        parse(text)


def test_it_says_which_rules_it_refers_to() -> None:
    assert parse("rule:a and not (rule:b or role:c)").rules == {"a", "b"}
