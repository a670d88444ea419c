import re

import pytest

from netwright.model.labels import check_labels, parse_selector

LABELS = {"app": "web", "example.com/tier": "front", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=db", False),
        ("app!=web", False),
        ("app!=db", True),
        ("other!=db", True),  # as in Kubernetes: what has no such key
        ("app", True),
        ("other", False),
        ("!app", False),
        ("! other", True),
        ("app in (web,db)", True),
        ("app in ( db )", False),
        ("app notin (web, db)", False),
        ("other notin (web)", True),
        ("example.com/tier=front,app", True),
        ("example.com/tier=front, app=db", False),
        ("empty=", True),
        ("empty=,app=web", True),
        ("app=", False),
        ("in=x", False),
        ("app in (in)", False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(text: str, *, matches: bool) -> None:
    assert parse_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("app=web,", "it ends where a label's key should follow"),
        (",app=web", "',' is no label's key"),
        ("app web", "'web' after 'app' is none of"),
        ("app > 5", "numbers cannot be compared"),
        ("app in web", "'web' at character 8 stands where '(' should"),
        ("app in (web", "it ends where ')' should follow"),
        ("app in ()", "')' is no value"),
        ("-app=web", "'-app' is no label's key"),
        ("a/b/c=web", "no label's key"),
        ("UPPER.example/app", "no label's key"),
        ("app=web=db", "'=' at character 8 stands where ',' should"),
        (f"app={'x' * 64}", "is no value for label 'app'"),
        ("a" * 64, "no label's key"),
        ("x" * 5000, "longer than 4096"),
    ],
)
def test_what_is_wrong_with_a_selector_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_selector(text)


@pytest.mark.parametrize(
    "text", ["app=web", "!app", "app", "app!=web", "app in (a,b)", "a notin (a,b),b=,c in (x)"]
)
def test_a_selector_is_written_as_it_is_read(text: str) -> None:
    selector = parse_selector(text)
    assert parse_selector(str(selector)) == selector


def test_the_order_of_requirements_makes_no_difference() -> None:
    assert parse_selector("b=2,a=1,a=1") == parse_selector("a=1,b==2")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"app": "web site"}, "'web site' is no value for label 'app'"),
        ({"": "x"}, "'' is no label's key"),
        ({"a b": "x"}, "'a b' is no label's key"),
        ({f"k{n}": "x" for n in range(65)}, "65 labels are more than 64"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_labels(labels)


def test_labels_as_kubernetes_has_them_are_fine() -> None:
    check_labels({**LABELS, "x" * 63: "y" * 63, "kubernetes.io/metadata.name": "a_b.c-D"})
