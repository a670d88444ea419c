"""What roles may, by default and by an operator's rules."""

from pathlib import Path

import pytest

from netwright.model.settings import InvalidConfiguration
from netwright.server.api.v2.rules import ACTIONS, ATTRIBUTES
from netwright.server.commands import MEMBERS
from netwright.server.rights.file import rules
from netwright.server.rights.rules import InvalidRule, Rules

READER = {"reader"}
MEMBER = {"member", "reader"}
MANAGER = {"manager", "member", "reader"}


def of(**given: str) -> Rules:
    return Rules(
        ACTIONS, ATTRIBUTES, {name.replace("__", ":"): text for name, text in given.items()}
    )


def test_a_member_has_the_rights_of_all_callers_before() -> None:
    for roles in (MEMBER, MANAGER, MEMBER | {"custom"}):
        assert of().granted(roles) == (False, MEMBERS)
        assert of().granted(roles).rights is MEMBERS


def test_an_admin_has_no_need_of_rights() -> None:
    assert of().granted({"Admin"}) == (True, MEMBERS)
    assert of(context_is_admin="role:boss").granted({"boss"}).is_admin
    assert not of(context_is_admin="role:boss").granted({"admin", "member"}).is_admin


def test_a_reader_is_denied_all_that_writes_and_nothing_else() -> None:
    rights = of().granted(READER).rights
    writes = {
        name
        for name in ACTIONS
        if not name.startswith("get_") and name != "default_read" and "admin" not in ACTIONS[name]
    }
    assert rights.denied == writes
    assert not rights.granted
    assert not rights.everywhere


def test_who_has_no_role_that_is_known_may_nothing_but_see_what_is_offered() -> None:
    rights = of().granted({"custom"}).rights
    assert {name for name in ACTIONS if name not in rights.denied} == {
        "get_extension",
        *(name for name, text in ACTIONS.items() if "admin" in text),
    }


def test_a_service_makes_ports_everywhere_and_reads_everything() -> None:
    rights = of().granted({"service"}).rights
    assert {"create_port", "update_port", "delete_port", "activate_port_binding"} <= (
        rights.everywhere
    )
    assert {"get_network", "get_subnet", "get_security_group", "get_port"} <= rights.everywhere
    assert "create_port:binding:host_id" in rights.granted
    assert "create_network" in rights.denied
    assert "create_network" not in of().granted({"service", *MEMBER}).rights.everywhere


def test_an_operators_rule_counts_instead() -> None:
    given = of(create_network="role:netadmin and rule:owner", create_network__shared="role:manager")
    assert "create_network" in given.granted(MEMBER).rights.denied
    assert "create_network" not in given.granted({"netadmin"}).rights.denied
    assert "create_network:shared" in given.granted(MANAGER).rights.granted
    assert "create_network:shared" not in given.granted(MEMBER).rights.granted


def test_a_network_owners_attribute_can_be_given_or_taken() -> None:
    given = of(create_port__mac_address="role:manager")
    assert "create_port:mac_address" in given.granted(MANAGER).rights.granted
    assert "create_port:mac_address" in given.granted(MEMBER).rights.denied
    assert not {"create_port:mac_address"} & of().granted(MEMBER).rights.denied


def test_an_action_of_admins_can_be_given() -> None:
    assert "update_quota" in of(update_quota="role:manager").granted(MANAGER).rights.granted


def test_no_rule_but_a_services_reaches_others_projects() -> None:
    assert not of(create_network="@", get_network="").granted(MEMBER).rights.everywhere


def test_the_same_roles_have_the_same_rights() -> None:
    given = of()
    assert given.granted(READER).rights is given.granted({"READER"}).rights


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"create_netwrk": "@"}, "there is no such rule"),
        ({"create_network": "role:a or"}, "it ends where"),
        ({"create_network": "rule:nobody"}, "rule:nobody, which there is not"),
        ({"create_network": "rule:create_network"}, "refers to itself"),
        ({"admin_only": "rule:admin_or_owner", "context_is_admin": "rule:admin_only"}, "itself"),
    ],
)
def test_what_is_no_rule_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidRule, match=why):
        Rules(ACTIONS, ATTRIBUTES, given)


def test_a_file_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('# ours\n"get_network": "role:reader"\n"create_netwrk": "@"\n')
    with pytest.raises(InvalidConfiguration, match=r"policy\.yaml:3: create_netwrk: there is no"):
        rules(path)
    path.write_text('"create_network:shared": "role:manager"\n')
    assert "create_network:shared" in rules(path).granted(MANAGER).rights.granted


@pytest.mark.parametrize("text", ["", "- a\n", '"create_network": 1\n', "a: [\n"])
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=r"policy\.yaml"):
        rules(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        rules(tmp_path / "none")
